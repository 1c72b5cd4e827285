//! Compression of encoded values in Redis, with LZ4.
//!
//! LZ4 and not zstd: `lz4_flex` is pure Rust, without `unsafe` in the features used here, and LZ4 is made for fast
//! decompression, which each hit in Redis pays for. zstd would need a C compiler for every adopter.
//!
//! A compressed payload is the length of the value (4 bytes, little-endian), then one LZ4 block. A reader decides from
//! the length alone, before it allocates, whether it decompresses: the length must be at most the class's largest
//! value, and at most what LZ4 can make of the block. So a small block that says it is a huge value costs nothing.

use lz4_flex::block::{DecompressError, compress_prepend_size, decompress, uncompressed_size};

/// One byte of a block becomes at most 255 bytes of the value.
const RATIO_MAX: usize = 255;

/// Why a payload was not decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompressionError {
    #[error("a compressed value that says it is of {says} bytes; this class takes {most}")]
    TooLarge { says: usize, most: usize },
    #[error("a compressed value of {block} bytes that says it is of {says} bytes")]
    Impossible { says: usize, block: usize },
    #[error(transparent)]
    Damaged(#[from] DecompressError),
}

/// The compressed form of `payload`; `None` if it is not smaller.
pub(crate) fn compressed(payload: &[u8]) -> Option<Vec<u8>> {
    // The length is written in 4 bytes.
    if u32::try_from(payload.len()).is_err() {
        return None;
    }
    let compressed = compress_prepend_size(payload);
    (compressed.len() < payload.len()).then_some(compressed)
}

/// Decompresses what [`compressed`] returned. Fails if the value has more than `most` bytes.
pub(crate) fn decompressed(compressed: &[u8], most: usize) -> Result<Vec<u8>, CompressionError> {
    let (says, block) = uncompressed_size(compressed)?;
    if says > most {
        return Err(CompressionError::TooLarge { says, most });
    }
    if says > block.len().saturating_mul(RATIO_MAX) {
        return Err(CompressionError::Impossible { says, block: block.len() });
    }
    Ok(decompress(block, says)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_smaller_stays() {
        assert!(compressed(b"").is_none());
        assert!(compressed(b"abc").is_none());
        let text = "the sea ".repeat(100);
        let small = compressed(text.as_bytes()).unwrap();
        assert!(small.len() < text.len() / 4, "{}", small.len());
        assert_eq!(decompressed(&small, text.len()).unwrap(), text.as_bytes());
    }

    #[test]
    fn a_length_that_is_too_large_is_refused_before_any_allocation() {
        let payload = vec![0; 1 << 16];
        let bomb = compressed(&payload).unwrap();
        assert!(matches!(
            decompressed(&bomb, (1 << 16) - 1),
            Err(CompressionError::TooLarge { says: 65_536, most: 65_535 })
        ));
        let mut says_more = bomb.clone();
        says_more[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decompressed(&says_more, usize::MAX), Err(CompressionError::Impossible { .. })));
        for cut in 0..bomb.len() {
            assert!(decompressed(&bomb[..cut], 1 << 16).is_err(), "{cut}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn hostile_bytes_are_an_error_or_a_value_of_the_size_that_they_say(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            says in 0_u32..5_000,
        ) {
            let mut payload = says.to_le_bytes().to_vec();
            payload.extend(bytes);
            if let Ok(value) = decompressed(&payload, 4_000) {
                prop_assert!(value.len() <= 4_000);
            }
        }

        #[test]
        fn every_payload_comes_back(bytes in proptest::collection::vec(0_u8..4, 0..2_000)) {
            if let Some(small) = compressed(&bytes) {
                prop_assert_eq!(decompressed(&small, bytes.len()).unwrap(), bytes);
            }
        }
    }
}
