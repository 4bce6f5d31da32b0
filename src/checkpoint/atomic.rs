//! Replacing a file so that at every moment the old one or the new one is there, whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{CheckpointError, Result};

/// Writes a new file beside `path`, forces it to the disk and renames it to `path`. After a failure at any point what was at
/// `path` before is still there, and the new file is not.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> Result<()>) -> Result<()> {
    let failed = |source| CheckpointError::File { path: path.to_path_buf(), source };
    // What a link points to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let old = fs::metadata(&target).ok();
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a file that could be replaced")));
    }
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = Temporary::create(directory).map_err(failed)?;
    let mut sink = BufWriter::with_capacity(1 << 16, &temporary.file);
    write(&mut sink)?;
    sink.flush().map_err(failed)?;
    drop(sink);
    if let Some(old) = old {
        temporary.file.set_permissions(old.permissions()).map_err(failed)?;
    }
    temporary.file.sync_all().map_err(failed)?;
    fs::rename(&temporary.path, &target).map_err(failed)?;
    // The new name is on the disk once the directory is. Where directories cannot be opened there is nothing to be done.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(())
}

/// A file of a name that nobody else uses. It is removed when dropped, unless it has been renamed.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn create(directory: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!(".displace-{}-{count}.tmp", std::process::id()));
            match File::create_new(&path) {
                Ok(file) => return Ok(Self { path, file }),
                // Left over from a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Fails, as it should, once the file has its final name.
        let _ = fs::remove_file(&self.path);
    }
}
