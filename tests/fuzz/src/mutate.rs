//! Small lies: the ones a parser of lengths falls for.

use holdfast_base::{Rng, SplitMix64};

/// More than this in one input is noise.
const MUTATIONS_MAX: u64 = 6;
/// Inputs do not grow without end.
const INPUT_BYTES_MAX: usize = 1 << 16;

const BYTES: [u8; 8] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const WORDS: [[u8; 4]; 8] = [
    [0x7f, 0xff, 0xff, 0xff],
    [0xff, 0xff, 0xff, 0xff],
    [0x80, 0x00, 0x00, 0x00],
    [0x00, 0x10, 0x00, 0x00],
    [0x00, 0x00, 0xff, 0xff],
    [0x00, 0x00, 0x00, 0x00],
    [0x00, 0x00, 0x00, 0x01],
    [0xff, 0xff, 0xff, 0xfe],
];
const VARINTS: [&[u8]; 5] = [
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x01],
    &[0xff, 0x7f],
];

/// Changes `input` in one to [`MUTATIONS_MAX`] places; `other` lends parts of itself.
pub(crate) fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut SplitMix64) {
    for _ in 0..=rng.below(MUTATIONS_MAX) {
        once(input, other, rng);
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn once(input: &mut Vec<u8>, other: &[u8], rng: &mut SplitMix64) {
    let at = rng.below(input.len() as u64 + 1) as usize;
    let left = input.len() - at;
    match rng.below(10) {
        0 => overwrite(input, at, &[rng.next_u64() as u8]),
        1 => overwrite(input, at, &[BYTES[rng.below(8) as usize]]),
        2 => overwrite(input, at, &WORDS[rng.below(8) as usize]),
        3 => overwrite(input, at, VARINTS[rng.below(5) as usize]),
        4 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        5 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = byte.wrapping_add(if rng.chance(1, 2) { 1 } else { 0xff });
            }
        }
        6 => {
            let end = at + rng.below(left.min(32) as u64 + 1) as usize;
            input.drain(at..end);
        }
        7 => {
            let end = at + rng.below(left.min(32) as u64 + 1) as usize;
            let copy = input[at..end].to_vec();
            insert(input, at, &copy);
        }
        8 => {
            let from = rng.below(other.len() as u64 + 1) as usize;
            let length = rng.below((other.len() - from).min(64) as u64 + 1) as usize;
            insert(input, at, &other[from..from + length]);
        }
        _ => input.truncate(at),
    }
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in input[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}
