//! Reads the operator's own additions to the catalogue from disk. What they mean is `access::catalogue`'s.

use std::path::Path;
use std::sync::Arc;

use crate::access::catalogue::{Catalogue, CatalogueError};
use crate::config::CatalogueSettings;

/// Largest `catalogue.extra`: four times the shipped tables.
pub const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// A catalogue that can't be built.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueFileError {
    /// The file can't be read.
    #[error("`catalogue.extra` `{path}` can't be read: {error}")]
    Read {
        /// As configured.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is too large.
    #[error("`catalogue.extra` `{path}` is larger than {FILE_BYTES} bytes")]
    TooLarge {
        /// As configured.
        path: String,
    },
    /// A table is wrong.
    #[error(transparent)]
    Table(#[from] CatalogueError),
}

/// The shipped catalogue with the configured additions.
pub fn read(settings: &CatalogueSettings) -> Result<Catalogue, CatalogueFileError> {
    let extra = settings.extra.as_deref().map(text).transpose()?;
    Ok(Catalogue::with(extra.as_deref(), &settings.versions)?)
}

/// The same, or `before` if that is what it would be: a second catalogue beside the one in force, read for
/// nothing, would take 5 MB and a tenth of a second.
pub fn read_anew(
    settings: &CatalogueSettings,
    before: &Arc<Catalogue>,
) -> Result<Arc<Catalogue>, CatalogueFileError> {
    let extra = settings.extra.as_deref().map(text).transpose()?;
    if before.is_with(extra.as_deref(), &settings.versions) {
        return Ok(Arc::clone(before));
    }
    Ok(Arc::new(Catalogue::with(extra.as_deref(), &settings.versions)?))
}

fn text(path: &Path) -> Result<String, CatalogueFileError> {
    use std::io::Read as _;
    let shown = || path.display().to_string();
    let read = |error| CatalogueFileError::Read { path: shown(), error };
    let file = std::fs::File::open(path).map_err(read)?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(read)?;
    match text.len() as u64 > FILE_BYTES {
        true => Err(CatalogueFileError::TooLarge { path: shown() }),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &Path) -> CatalogueSettings {
        CatalogueSettings {
            extra: Some(path.to_owned()),
            versions: Vec::new(),
        }
    }

    #[test]
    fn the_file_is_read_and_its_mistakes_name_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("extra.tsv");
        std::fs::write(
            &path,
            "method\tpath\tid\teffect\nGET\t/crm/v3/new\tcrm.new.list\tread\n",
        )
        .unwrap();
        assert!(
            read(&settings(&path))
                .unwrap()
                .operation_by_id("crm.new.list")
                .is_some()
        );
        std::fs::write(
            &path,
            "method\tpath\tid\teffect\nGET\t/crm/v3/new\tcrm.new.list\tmaybe\n",
        )
        .unwrap();
        let error = read(&settings(&path)).unwrap_err().to_string();
        assert!(
            error.starts_with("catalogue.extra:2: `effect` is one of"),
            "{error}"
        );
    }

    #[test]
    fn what_has_not_changed_is_not_read_into_a_second_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("extra.tsv");
        let table = "method\tpath\tid\teffect\nGET\t/crm/v3/new\tcrm.new.list\tread\n";
        std::fs::write(&path, table).unwrap();
        let before = Arc::new(read(&settings(&path)).unwrap());
        assert!(Arc::ptr_eq(
            &read_anew(&settings(&path), &before).unwrap(),
            &before
        ));
        std::fs::write(&path, table.replace("new", "newer")).unwrap();
        let after = read_anew(&settings(&path), &before).unwrap();
        assert!(after.operation_by_id("crm.newer.list").is_some());
        assert!(before.operation_by_id("crm.newer.list").is_none());
    }

    #[test]
    fn a_missing_or_huge_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("extra.tsv");
        assert!(matches!(
            read(&settings(&path)),
            Err(CatalogueFileError::Read { .. })
        ));
        std::fs::write(&path, vec![b'#'; FILE_BYTES as usize + 1]).unwrap();
        assert!(matches!(
            read(&settings(&path)),
            Err(CatalogueFileError::TooLarge { .. })
        ));
    }
}
