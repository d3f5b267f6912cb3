//! The tables' text form: tab-separated, `#` comments, a header line that names the columns.
//!
//! Deliberately absent: quoting and escapes. A cell holds no tab and no line break.

use std::collections::HashMap;

use super::CatalogueError;

/// One table, split but not understood.
pub(super) struct Table<'t> {
    name: &'static str,
    columns: HashMap<&'t str, usize>,
    records: Vec<(usize, Vec<&'t str>)>,
}

/// One line of a table.
#[derive(Clone, Copy)]
pub(super) struct Record<'a, 't> {
    table: &'a Table<'t>,
    line: usize,
    cells: &'a [&'t str],
}

impl<'t> Table<'t> {
    /// Splits `text`; every line must have as many cells as the header.
    pub(super) fn parse(name: &'static str, text: &'t str) -> Result<Self, CatalogueError> {
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_end_matches('\r')))
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let Some((_, header)) = lines.next() else {
            return Err(CatalogueError::new(name, 1, "the table has no header line"));
        };
        let columns: HashMap<&str, usize> = header.split('\t').enumerate().map(|(i, c)| (c, i)).collect();
        let width = header.split('\t').count();
        if columns.len() != width {
            return Err(CatalogueError::new(name, 1, "the header names a column twice"));
        }
        let mut records = Vec::new();
        for (line, text) in lines {
            let cells: Vec<&str> = text.split('\t').collect();
            if cells.len() != width {
                let message = format!("{} cells where the header names {width} columns", cells.len());
                return Err(CatalogueError::new(name, line, message));
            }
            records.push((line, cells));
        }
        Ok(Self {
            name,
            columns,
            records,
        })
    }

    /// Every line below the header.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_, 't>> {
        self.records.iter().map(|(line, cells)| Record {
            table: self,
            line: *line,
            cells,
        })
    }
}

impl<'t> Record<'_, 't> {
    /// The cell of a column that the table must have.
    pub(super) fn need(&self, column: &'static str) -> Result<&'t str, CatalogueError> {
        self.get(column)
            .ok_or_else(|| self.error(format!("the table has no column `{column}`")))
    }

    /// The cell of a column the table may leave out; `-` is an empty cell.
    pub(super) fn optional(&self, column: &str) -> Option<&'t str> {
        self.get(column).filter(|cell| *cell != "-" && !cell.is_empty())
    }

    fn get(&self, column: &str) -> Option<&'t str> {
        let index = *self.table.columns.get(column)?;
        self.cells.get(index).copied()
    }

    /// The line, counted from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// A mistake in this line.
    pub(super) fn error(&self, message: impl Into<String>) -> CatalogueError {
        CatalogueError::new(self.table.name, self.line, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_not_rectangular_is_refused_with_its_line() {
        let error = Table::parse("t", "# c\na\tb\n1\t2\n1\n").err().unwrap();
        assert_eq!(error.to_string(), "t:4: 1 cells where the header names 2 columns");
        assert!(Table::parse("t", "# only a comment\n").is_err());
        assert!(Table::parse("t", "a\ta\n").is_err());
    }

    #[test]
    fn cells_are_found_by_column_and_a_dash_is_empty() {
        let table = Table::parse("t", "# c\r\na\tb\r\n1\t-\r\n").unwrap();
        let record = table.records().next().unwrap();
        assert_eq!(record.need("a").unwrap(), "1");
        assert_eq!(record.optional("b"), None);
        assert!(record.need("c").is_err());
    }
}
