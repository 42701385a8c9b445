//! CRC-32C of `a ++ b` from the two checksums, without reading either again.
//!
//! Appending n zero bytes to a message multiplies its checksum by a fixed 32 × 32 matrix over
//! GF(2) (Mark Adler's method in zlib). The matrices for 2^k bytes are made at compile time, so
//! that one combination costs at most one matrix product per set bit of the length, well below a
//! microsecond; building them per call, as general libraries do, costs more than reading 100 KB.

/// CRC-32C's polynomial, bit-reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

type Matrix = [u32; 32];

const fn times(matrix: &Matrix, vector: u32) -> u32 {
    let mut sum = 0;
    let mut rest = vector;
    while rest != 0 {
        sum ^= matrix[rest.trailing_zeros() as usize];
        rest &= rest - 1;
    }
    sum
}

const fn square(matrix: &Matrix) -> Matrix {
    let mut result = [0; 32];
    let mut column = 0;
    while column < 32 {
        result[column] = times(matrix, matrix[column]);
        column += 1;
    }
    result
}

/// Matrix k appends 2^k zero bytes.
static ZERO_BYTES: [Matrix; 32] = {
    let mut one_bit = [0; 32];
    one_bit[0] = POLYNOMIAL;
    let mut column = 1;
    while column < 32 {
        one_bit[column] = 1 << (column - 1);
        column += 1;
    }
    let mut matrices = [[0; 32]; 32];
    matrices[0] = square(&square(&square(&one_bit)));
    let mut power = 1;
    while power < 32 {
        matrices[power] = square(&matrices[power - 1]);
        power += 1;
    }
    matrices
};

/// The checksum of `a ++ b`, where `b` has `b_bytes` bytes (below 4 GiB).
pub(crate) fn combine(a_crc: u32, b_crc: u32, b_bytes: usize) -> u32 {
    let mut rest = u32::try_from(b_bytes).expect("a frame is below 4 GiB");
    let mut crc = a_crc;
    while rest != 0 {
        crc = times(&ZERO_BYTES[rest.trailing_zeros() as usize], crc);
        rest &= rest - 1;
    }
    crc ^ b_crc
}

#[cfg(test)]
mod tests {
    use super::combine;

    #[test]
    fn a_combined_checksum_is_that_of_the_whole() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for (end, cut) in
            [(0, 0), (1, 0), (1, 1), (9, 4), (70_000, 1), (70_000, 65_536), (5_000, 21)]
        {
            let (a, b) = bytes[..end].split_at(cut);
            let combined = combine(crc32c::crc32c(a), crc32c::crc32c(b), b.len());
            assert_eq!(combined, crc32c::crc32c(&bytes[..end]), "{cut} of {end}");
        }
    }
}
