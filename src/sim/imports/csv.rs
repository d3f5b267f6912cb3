//! Comma-separated values (RFC 4180): quotes around a cell, doubled inside it.

/// The rows of a file; a line without anything in it is none.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(character) = characters.next() {
        match (quoted, character) {
            (true, '"') if characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            (true, '"') => quoted = false,
            (true, other) => cell.push(other),
            (false, '"') => quoted = true,
            (false, ',') => row.push(std::mem::take(&mut cell)),
            (false, '\r') => {}
            (false, '\n') => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (false, other) => cell.push(other),
        }
    }
    row.push(cell);
    rows.push(row);
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    rows
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn cells_may_be_quoted_and_empty_lines_are_no_rows() {
        assert_eq!(
            rows("a,b\r\n\"x, \"\"y\"\"\",\n\n1,\"2\n3\""),
            [["a", "b"], ["x, \"y\"", ""], ["1", "2\n3"]]
        );
        assert!(rows("").is_empty());
    }
}
