//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counting is off while callgrind runs, because it is not a part of the measured work.
static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated(size: usize) {
    if IS_COUNTING.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        ALLOCATED.fetch_add(size as u64, Relaxed);
    }
}

fn freed(size: usize) {
    if IS_COUNTING.load(Relaxed) {
        FREED.fetch_add(size as u64, Relaxed);
    }
}

// SAFETY: every call goes unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        allocated(new_size);
        freed(layout.size());
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        freed(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The allocations in the meantime.
#[derive(Clone, Copy)]
pub struct Count {
    /// Calls that allocate or reallocate.
    pub allocations: u64,
    /// The bytes that these calls asked for.
    pub bytes: u64,
    /// The bytes that are still allocated.
    pub kept: u64,
}

/// Runs this once. The result is not dropped.
pub fn count<T>(run: impl FnOnce() -> T) -> (T, Count) {
    for counter in [&ALLOCATIONS, &ALLOCATED, &FREED] {
        counter.store(0, Relaxed);
    }
    IS_COUNTING.store(true, Relaxed);
    let result = run();
    IS_COUNTING.store(false, Relaxed);
    let (bytes, freed) = (ALLOCATED.load(Relaxed), FREED.load(Relaxed));
    let count = Count { allocations: ALLOCATIONS.load(Relaxed), bytes, kept: bytes.saturating_sub(freed) };
    (result, count)
}
