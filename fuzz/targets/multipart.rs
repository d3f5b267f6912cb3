//! A multipart body is read the same in whatever pieces it comes, holds one `importRequest` or is refused, and
//! what goes up for it is read as the same parts again.
//!
//! The first byte chooses the size of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::json::JudgedBody;
use scopegate_fuzz::access::multipart::{Fault, Part, Piece, Rebuild, Splitter};

const TYPE: &str = "multipart/form-data; boundary=b1";
const OWN: &str = "scopegate-0123456789abcdef";

/// Parts with their bytes.
type Parts = Vec<(Part, Vec<u8>)>;

fn parts(content_type: &str, body: &[u8], cut: usize) -> Result<Parts, Fault> {
    let mut splitter = Splitter::new(Some(content_type))?;
    let mut parts = Parts::new();
    let mut is_open = false;
    for chunk in body.chunks(cut.max(1)) {
        splitter.push(chunk);
        while let Some(piece) = splitter.next_piece()? {
            match piece {
                Piece::Head(part) => {
                    assert!(!is_open, "a part inside a part");
                    is_open = true;
                    parts.push((part, Vec::new()));
                }
                Piece::Data(data) => {
                    assert!(is_open && !data.is_empty(), "bytes of no part");
                    parts.last_mut().expect("a part").1.extend_from_slice(&data);
                }
                Piece::End => {
                    assert!(is_open, "the end of no part");
                    is_open = false;
                }
            }
        }
    }
    splitter.finish()?;
    assert!(!is_open, "a part without an end");
    Ok(parts)
}

/// What goes up, as the request path writes it: `importRequest`, files that came before it, then the rest.
fn rebuilt(body: &[u8], cut: usize, request: &JudgedBody) -> Vec<u8> {
    let mut rebuild = Rebuild::new(Some(TYPE), OWN.to_owned()).expect("a plain content type");
    let (mut files, mut is_json, mut is_request) = (Vec::new(), false, false);
    for chunk in body.chunks(cut.max(1)) {
        rebuild.take(chunk);
        while let Some(piece) = rebuild.next_piece().expect("it was read before") {
            match piece {
                Piece::Head(Part::Request { is_json: said }) => (is_request, is_json) = (true, said),
                Piece::End if is_request => is_request = false,
                Piece::Data(_) if is_request => {}
                piece => rebuild.write(&piece, &mut files),
            }
        }
    }
    let mut out = rebuild.request(request, is_json);
    out.append(&mut files);
    rebuild.finish(&mut out).expect("it was read before");
    out
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else {
        return;
    };
    let cut = usize::from(*cut);
    let whole = parts(TYPE, body, body.len());
    assert_eq!(parts(TYPE, body, cut), whole, "pieces decide");
    let Ok(whole) = whole else {
        return;
    };
    let (requests, files): (Vec<_>, Vec<_>) = whole
        .into_iter()
        .partition(|(part, _)| matches!(part, Part::Request { .. }));
    let [(request, text)] = requests.as_slice() else {
        panic!("{} times `importRequest`", requests.len());
    };
    let Ok(judged) = JudgedBody::parse(text) else {
        return;
    };
    // The real one is random, so no file has it.
    if body.windows(OWN.len()).any(|window| window == OWN.as_bytes()) {
        return;
    }
    let up = rebuilt(body, cut, &judged);
    let content_type = format!("multipart/form-data; boundary={OWN}");
    let again = parts(&content_type, &up, up.len()).expect("what goes up can be read");
    let mut expected = vec![(request.clone(), judged.rebuild())];
    expected.extend(files.into_iter().map(|(part, data)| match part {
        Part::File {
            name,
            content_type: None,
        } => {
            let content_type = Some("application/octet-stream".into());
            (Part::File { name, content_type }, data)
        }
        part => (part, data),
    }));
    assert_eq!(again, expected);
});
