//! Whether a folder is on a local disk. SQLite's WAL needs shared memory and `flock` needs a kernel that
//! is the only one asked: neither holds on a network file system.

use std::path::Path;

use super::StoreError;

/// Magic numbers of `statfs(2)` and `linux/magic.h`.
const NETWORK: [(u64, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// Refuses a folder on a file system known to be a network's. FUSE passes: it may be anything.
pub(super) fn refuse_network(folder: &Path) -> Result<(), StoreError> {
    let Ok(found) = rustix::fs::statfs(folder) else {
        // Not detectable; opening the file will say what is wrong with the folder.
        return Ok(());
    };
    // The field's type differs between platforms; the magic numbers are 32 bits on all of them.
    match network_name(found.f_type as u64 & 0xffff_ffff) {
        Some(kind) => Err(StoreError::NetworkFilesystem { kind }),
        None => Ok(()),
    }
}

fn network_name(magic: u64) -> Option<&'static str> {
    NETWORK
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|&(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("CIFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
        assert_eq!(network_name(0x6573_5546), None, "FUSE");
    }

    #[test]
    fn a_local_folder_passes() {
        assert!(refuse_network(Path::new("/proc")).is_ok());
    }
}
