//! How many records an answer holds, counted as its bytes go by.
//!
//! HubSpot's lists, of every generation, are an object with an array of records in it (`results`,
//! `contacts`, `deals`) or an array by itself. What is counted are the elements of those arrays, whatever
//! they are called; an answer without one is one record. Arrays deeper down are a record's own. When in
//! doubt this counts too much: an array of something else (the errors of a 207) counts as well.
//!
//! Not a parser: what is no JSON counts as something, and is no danger here. Whoever filters answers reads
//! them strictly.

/// Counts the records of one answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    depth: u32,
    /// Whether the outermost value is an array.
    outer_is_array: bool,
    /// Whether the value at depth 2 is an array, in an outermost object.
    inner_is_array: bool,
    in_string: bool,
    escaped: bool,
    /// The next value begins an element of a counted array.
    element_next: bool,
    elements: u32,
    arrays: bool,
    anything: bool,
}

impl Tally {
    /// Reads on.
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            if self.in_string {
                rest = self.skip_string(*byte, after);
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b':' => {}
                b'"' => {
                    self.value();
                    self.in_string = true;
                }
                b'{' | b'[' => self.open(*byte == b'['),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.element_next = false;
                }
                b',' => self.element_next = self.in_counted_array(),
                _ => self.value(),
            }
        }
    }

    /// Records so far; what has no list in it is one.
    pub fn records(&self) -> u32 {
        match self.arrays {
            true => self.elements,
            false => u32::from(self.anything),
        }
    }

    fn in_counted_array(&self) -> bool {
        match self.depth {
            1 => self.outer_is_array,
            2 => self.inner_is_array,
            _ => false,
        }
    }

    /// A value begins.
    fn value(&mut self) {
        self.anything = true;
        if self.element_next {
            self.elements = self.elements.saturating_add(1);
            self.element_next = false;
        }
    }

    fn open(&mut self, is_array: bool) {
        self.value();
        self.depth = self.depth.saturating_add(1);
        match self.depth {
            1 => self.outer_is_array = is_array,
            2 => self.inner_is_array = is_array && !self.outer_is_array,
            _ => {}
        }
        self.element_next = is_array && self.in_counted_array();
        self.arrays |= self.element_next;
    }

    /// Passes over the rest of a string as far as it is here.
    fn skip_string<'c>(&mut self, first: u8, after: &'c [u8]) -> &'c [u8] {
        let mut byte = first;
        let mut rest = after;
        loop {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    return rest;
                }
                _ => {
                    // Most of an answer is text without either.
                    let skip = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    rest = rest.get(skip..).unwrap_or_default();
                }
            }
            match rest.split_first() {
                Some((next, after)) => (byte, rest) = (*next, after),
                None => return rest,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, u32); 16] = [
        (
            r#"{"results":[{"id":"1","properties":{"a":["x","y"]}},{"id":"2"}],"paging":{"next":{"after":"2"}}}"#,
            2,
        ),
        (r#"{"results":[]}"#, 0),
        (r#"{"total":0,"results":[ ]}"#, 0),
        (
            r#"{"id":"1","properties":{"email":"[{,}]"},"associations":{"companies":{"results":[{"id":"2"},{"id":"3"}]}}}"#,
            1,
        ),
        (r#"[{"vid":1},{"vid":2},{"vid":3}]"#, 3),
        ("[1, 2,\n3]", 3),
        ("[]", 0),
        (
            r#"{"contacts":[{"vid":1,"identity-profiles":[{"a":[1,2]},{}]}],"has-more":true,"vid-offset":5}"#,
            1,
        ),
        (r#"{"results":["a","b\",c","d"]}"#, 3),
        (r#"{"results":[[1,2],[3]]}"#, 2),
        (r#"[[1,2],[3]]"#, 2),
        (r#"{"results":[{"id":"1"}],"errors":[{"x":1},{"x":2}]}"#, 3),
        ("", 0),
        ("  \n", 0),
        ("true", 1),
        (r#"{"a":"\\","results":[{"b":"\\\""},{}]}"#, 2),
    ];

    #[test]
    fn elements_of_outer_arrays_are_records_and_what_has_none_is_one() {
        for (text, records) in CASES {
            let mut tally = Tally::default();
            tally.push(text.as_bytes());
            assert_eq!(tally.records(), records, "{text}");
        }
    }

    #[test]
    fn it_does_not_matter_where_the_pieces_of_an_answer_end() {
        for (text, records) in CASES {
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let mut tally = Tally::default();
                    for piece in [&text[..first], &text[first..second], &text[second..]] {
                        tally.push(piece.as_bytes());
                    }
                    assert_eq!(tally.records(), records, "{text} {first} {second}");
                }
            }
        }
    }

    #[test]
    fn no_prefix_of_a_list_holds_more_records_than_the_whole_of_it_so_far() {
        let text = CASES[0].0;
        let mut tally = Tally::default();
        let mut before = 0;
        for byte in text.as_bytes().chunks(1) {
            tally.push(byte);
            let now = if tally.arrays { tally.records() } else { 0 };
            assert!(now >= before);
            before = now;
        }
    }

    #[test]
    fn what_is_no_json_does_no_harm() {
        let mut tally = Tally::default();
        for junk in [&b"]]]]}}}}"[..], b"\"\\", b"{{{{[[[[", &[0xff; 50], b",,,,,,"] {
            tally.push(junk);
        }
        let _ = tally.records();
    }
}
