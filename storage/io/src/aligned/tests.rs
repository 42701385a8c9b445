//! Claims about aligned buffers and their pool.

use std::thread;

use super::*;

#[test]
fn every_buffer_is_aligned_and_at_least_as_large_as_asked() {
    let pool = BufferPool::new(1 << 20);
    for len_bytes in [0, 1, 4095, 4096, 4097, 20_000, 65_536, 65_537, 1 << 20, (16 << 20) + 1] {
        let buf = pool.take(len_bytes);
        assert_eq!(buf.memory().start.as_ptr() as usize % BLOCK_BYTES, 0);
        assert!(buf.capacity_bytes() >= len_bytes.max(1));
        assert_eq!(buf.capacity_bytes() % BLOCK_BYTES, 0);
    }
}

#[test]
fn a_size_class_wastes_at_most_a_fifth_and_is_its_own_class() {
    for blocks in 1..5000 {
        let class = size_class_bytes(blocks * BLOCK_BYTES);
        assert!(class >= blocks * BLOCK_BYTES);
        assert!((class - blocks * BLOCK_BYTES) * 5 <= class, "{blocks} blocks get {class} bytes");
        assert_eq!(size_class_bytes(class), class);
    }
}

#[test]
fn a_frozen_buffer_ends_at_a_block_in_zeros() {
    let pool = BufferPool::new(1 << 20);
    let mut buf = pool.take(8192);
    buf.extend_from_slice(&[7; 5000]);
    let bytes = buf.freeze();
    assert_eq!(bytes.len(), 8192);
    assert!(bytes[..5000].iter().all(|byte| *byte == 7));
    assert!(bytes[5000..].iter().all(|byte| *byte == 0));
}

#[test]
fn recycled_memory_never_shows_its_former_bytes() {
    let pool = BufferPool::new(1 << 20);
    let mut first = pool.take(8192);
    first.extend_from_slice(&[0xaa; 8192]);
    let first_start = first.memory().start;
    drop(first.freeze());
    let mut second = pool.take(8192);
    assert_eq!(second.memory().start, first_start, "the memory was recycled");
    assert!(second.as_slice().is_empty());
    assert!(second.reserve_zeroed(100).iter().all(|byte| *byte == 0));
    let bytes = second.freeze();
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn memory_returns_at_the_last_drop_even_on_another_thread() {
    let pool = BufferPool::new(1 << 20);
    let mut buf = pool.take(4096);
    buf.extend_from_slice(b"shared");
    let bytes = buf.freeze();
    let slice = bytes.slice(2..4);
    drop(bytes);
    assert_eq!(pool.status().idle_bytes, 0, "a slice still holds it");
    thread::spawn(move || drop(slice)).join().unwrap();
    assert_eq!(pool.status().idle_bytes, 4096);
}

#[test]
fn idle_memory_stays_within_its_limit_and_the_stalest_class_gives_way() {
    let pool = BufferPool::new(16 * 4096);
    let small: Vec<_> = (0..16).map(|_| pool.take(4096)).collect();
    drop(small);
    assert_eq!(pool.status().idle_bytes, 16 * 4096);
    drop(pool.take(8 * 4096));
    assert_eq!(pool.status().idle_bytes, 16 * 4096);
    let fresh = pool.status().fresh;
    drop(pool.take(8 * 4096));
    assert_eq!(pool.status().fresh, fresh, "the size in use is kept");
    drop(pool.take(17 * 4096));
    assert!(pool.status().idle_bytes <= 16 * 4096);
}

#[test]
fn patches_change_only_what_was_appended() {
    let mut buf = AlignedBuf::unpooled(4096);
    buf.put_u32_le(0);
    buf.extend_from_slice(b"body");
    buf.as_mut_slice()[..4].copy_from_slice(&4_u32.to_le_bytes());
    assert_eq!(buf.as_slice(), b"\x04\0\0\0body");
    buf.truncate(4);
    assert_eq!(buf.as_slice(), b"\x04\0\0\0");
}

#[test]
#[should_panic(expected = "room for")]
fn appending_past_the_capacity_is_a_bug_not_a_reallocation() {
    AlignedBuf::unpooled(4096).extend_from_slice(&[0; 4097]);
}
