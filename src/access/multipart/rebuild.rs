//! Parts of an import, written anew between boundaries of the gate's own: nothing the client framed
//! goes up, so what HubSpot reads as parts is what was read here as parts.

use super::{Fault, Part, Piece, Splitter};
use crate::access::json::JudgedBody;

/// Writes parts anew as they are read.
pub struct Rebuild {
    splitter: Splitter,
    boundary: String,
}

impl Rebuild {
    /// Of a body of this content type, between boundaries that no file can know.
    pub fn new(content_type: Option<&str>, boundary: String) -> Result<Self, Fault> {
        Ok(Self {
            splitter: Splitter::new(content_type)?,
            boundary,
        })
    }

    /// What goes up says of itself.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Takes more of the body, to be read by [`Rebuild::next_piece`].
    pub fn take(&mut self, data: &[u8]) {
        self.splitter.push(data);
    }

    /// The next piece, unwritten; `None` until more is taken.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, Fault> {
        self.splitter.next_piece()
    }

    /// The body has ended: whether all of it came.
    pub fn whole(&self) -> Result<(), Fault> {
        self.splitter.finish()
    }

    /// The part that decides, as it was judged.
    pub fn request(&self, request: &JudgedBody, is_json: bool) -> Vec<u8> {
        let content_type = if is_json {
            "Content-Type: application/json\r\n"
        } else {
            ""
        };
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n{content_type}\r\n",
            self.boundary
        );
        [head.as_bytes(), &request.rebuild(), b"\r\n"].concat()
    }

    /// A piece of a file, as it goes up.
    pub fn write(&self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Data(data) => out.extend_from_slice(data),
            Piece::End => out.extend_from_slice(b"\r\n"),
            Piece::Head(Part::File { name, content_type }) => {
                let content_type = content_type.as_deref().unwrap_or("application/octet-stream");
                let head = format!(
                    "--{}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
                     Content-Type: {content_type}\r\n\r\n",
                    self.boundary
                );
                out.extend_from_slice(head.as_bytes());
            }
            // Written by `request`, from what was judged.
            Piece::Head(Part::Request { .. }) => {}
        }
    }

    /// What the next bytes of the client's stream become. Nothing of a fault is in `out`.
    pub fn push(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.splitter.push(data);
        while let Some(piece) = self.splitter.next_piece()? {
            self.write(&piece, out);
        }
        Ok(())
    }

    /// The final boundary, once the client's own has come.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.splitter.finish()?;
        out.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b1";

    /// What goes up of a stream cut like this, and the fault that stopped it.
    fn rebuilt(body: &[u8], cut: usize) -> (String, Option<Fault>) {
        let mut rebuild = Rebuild::new(Some(TYPE), "OWN".into()).unwrap();
        let mut out = Vec::new();
        let mut fault = None;
        for chunk in body.chunks(cut) {
            fault = fault.or(rebuild.push(chunk, &mut out).err());
            if fault.is_some() {
                break;
            }
        }
        if fault.is_none() {
            fault = rebuild.finish(&mut out).err();
        }
        (String::from_utf8(out).unwrap(), fault)
    }

    fn file(name: &str, rest: &str, data: &str) -> String {
        format!("--b1\r\ncontent-disposition: form-data; name=files; filename={name}{rest}\r\n\r\n{data}\r\n")
    }

    #[test]
    fn files_are_framed_and_named_anew_wherever_the_stream_is_cut() {
        let request = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n";
        let body = [
            request.to_owned(),
            "\r\n".into(),
            file("a.csv", "; filename*=", "").replace("; filename*=", "\r\nContent-Length: 9"),
            file(
                "\"b c.csv\"",
                "\r\nCONTENT-TYPE: Text/CSV",
                "--b2\r\n--OTHER\r\n1,2",
            ),
            "--b1--".into(),
        ]
        .concat();
        let expected = "\r\n--OWN\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.csv\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n\r\n\
            --OWN\r\nContent-Disposition: form-data; name=\"files\"; filename=\"b c.csv\"\r\n\
            Content-Type: text/csv\r\n\r\n--b2\r\n--OTHER\r\n1,2\r\n--OWN--\r\n";
        for cut in 1..=body.len() {
            assert_eq!(
                rebuilt(body.as_bytes(), cut),
                (expected.into(), None),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_second_request_or_a_cut_never_gets_a_final_boundary_nor_a_byte_of_its_own() {
        let request = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\nSECRET\r\n";
        let first = "--b1\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n\r\n";
        let (a, end) = (file("a", "", "1"), "--b1--");
        for (body, fault) in [
            (format!("{first}{a}{request}{end}"), Fault::SecondRequest),
            (
                format!("{first}{a}{}", request.replace("importR", "IMPORTR")),
                Fault::Name,
            ),
            (format!("{first}{a}{end}\r\n{request}{end}"), Fault::Framing),
            (format!("{first}{a}"), Fault::Framing),
            (format!("{first}{}", file("a", "", "1\r\n--b1-")), Fault::Framing),
        ] {
            for cut in [1, 2, 5, 64, body.len()] {
                let (out, found) = rebuilt(body.as_bytes(), cut);
                assert_eq!(found, Some(fault), "{body} cut at {cut}");
                assert!(!out.contains("OWN--") && !out.contains("SECRET"), "{out}");
            }
        }
    }

    #[test]
    fn the_request_is_written_as_it_was_judged() {
        let request = JudgedBody::parse(b" { \"n\" : 1 } ").unwrap();
        let rebuild = Rebuild::new(Some(TYPE), "OWN".into()).unwrap();
        for (is_json, line) in [(true, "Content-Type: application/json\r\n"), (false, "")] {
            let text = String::from_utf8(rebuild.request(&request, is_json)).unwrap();
            let head = "Content-Disposition: form-data; name=\"importRequest\"\r\n";
            assert_eq!(text, format!("--OWN\r\n{head}{line}\r\n{{\"n\":1}}\r\n"));
        }
    }
}
