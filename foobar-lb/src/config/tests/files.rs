//! Loading and storing, on a real file system.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use super::FULL;
use crate::config::{LoadError, StoreError, load, store};

#[test]
fn what_is_stored_can_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/lb.toml");
    store(&path, None, FULL).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    let (text, config) = load(&path).unwrap();
    assert_eq!(text, FULL);
    assert_eq!(config.services.len(), 2);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn mode_and_owner_are_kept_and_the_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.toml");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Changing the owner needs root; without it the test still covers the rest.
    let owner = if std::os::unix::fs::chown(&path, Some(12), Some(34)).is_ok() {
        (12, 34)
    } else {
        let old = fs::metadata(&path).unwrap();
        (old.uid(), old.gid())
    };
    let before = fs::metadata(&path).unwrap();
    store(&path, Some(""), "# new\n").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!((after.uid(), after.gid()), owner);
    assert_ne!(after.ino(), before.ino());
}

#[test]
fn a_link_is_followed_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("etc/real.toml"), folder.path().join("lb.toml"));
    fs::create_dir(folder.path().join("etc")).unwrap();
    symlink("etc/real.toml", &link).unwrap();
    store(&link, None, "# one\n").unwrap();
    store(&link, Some("# one\n"), "# two\n").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(target).unwrap(), "# two\n");

    let round = folder.path().join("round.toml");
    symlink("round.toml", &round).unwrap();
    assert!(matches!(store(&round, None, ""), Err(StoreError::Io { .. })));
}

#[test]
fn a_change_of_somebody_else_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.toml");
    fs::write(&path, "# theirs\n").unwrap();
    for expected in [None, Some("# ours\n"), Some("")] {
        let error = store(&path, expected, "# new\n").unwrap_err();
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# theirs\n");
    }
    fs::remove_file(&path).unwrap();
    let error = store(&path, Some("# theirs\n"), "# new\n").unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn another_process_holds_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.toml");
    fs::write(&path, "").unwrap();
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    assert!(matches!(store(&path, Some(""), "# new\n"), Err(StoreError::Busy { .. })));
    drop(other);
    store(&path, Some(""), "# new\n").unwrap();
}

#[test]
fn what_cannot_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lb.toml");
    let message = || load(&path).unwrap_err().to_string().replace(path.to_str().unwrap(), "FILE");

    assert!(matches!(load(&path), Err(LoadError::Missing { .. })));
    assert!(message().starts_with("FILE: there is no such file"));
    assert!(matches!(load(folder.path()), Err(LoadError::Unreadable { .. })));
    fs::write(&path, b"# caf\xe9\n").unwrap();
    assert_eq!(message(), "FILE:1:6: this is not UTF-8 text (save the file as UTF-8)");
    fs::write(&path, "x = 1\n").unwrap();
    assert!(matches!(load(&path), Err(LoadError::Invalid(_))));
}
