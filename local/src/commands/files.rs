//! Files of the checkout.

use std::path::Path;

use crate::stack::StackError;

pub(super) fn read(path: &Path) -> Result<String, StackError> {
    std::fs::read_to_string(path).map_err(StackError::file("read", path))
}

/// Writes a file, and makes its folder if need be.
pub(super) fn write(path: &Path, text: &str) -> Result<(), StackError> {
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text));
    written.map_err(StackError::file("write", path))
}
