//! Zigzag varints as protobuf and Kafka write them: seven bits a byte, lowest first, the top bit
//! says that more follow; the sign sits in bit 0.

/// Longest form of 64 bits.
const MAX_BYTES: u32 = 10;

/// Feed bytes until it answers.
#[derive(Default)]
pub(crate) struct VarintReader {
    value: u64,
    bytes: u32,
}

impl VarintReader {
    /// `Ok(Some(_))` when the number is complete, `Err` when it cannot be one of 64 bits.
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<i64>, ()> {
        let payload = u64::from(byte & 0x7f);
        if self.bytes == MAX_BYTES - 1 && byte > 1 {
            return Err(());
        }
        self.value |= payload << (7 * self.bytes);
        self.bytes += 1;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        Ok(Some(unzigzag(self.value)))
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends `value`.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Option<i64>, ()> {
        let mut reader = VarintReader::default();
        for byte in bytes {
            if let Some(value) = reader.push(*byte)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: i64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(read(&bytes), Ok(Some(value)));
        }
    }

    #[test]
    fn the_extremes_are_numbers_and_one_bit_more_is_not() {
        for value in [i64::MIN, i64::MAX, i64::from(i32::MIN), -1, 0, 1, 63, 64] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(read(&bytes), Ok(Some(value)));
        }
        assert_eq!(read(&[0xff; 10]), Err(()));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(()));
    }
}
