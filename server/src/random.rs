//! Randomness of the operating system.

use crate::failure::{Failure, Result};

/// `N` random bytes as lower-case hex digits.
pub(crate) fn hex<const N: usize>() -> Result<String> {
    Ok(bytes::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::internal(format_args!("no randomness: {error}")))?;
    Ok(bytes)
}
