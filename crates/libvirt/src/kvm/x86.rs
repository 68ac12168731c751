// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest of `x86_64` in 64-bit mode that counts, writes one byte to a port and halts.
//!
//! As in [`guest`](super::guest), only system calls, since it runs in a forked child.
//!
//! ```text
//! 0x1000  page table, level 4: entry 0 -> 0x2000
//! 0x2000  page table, level 3: entry 0 -> 0x3000
//! 0x3000  page table, level 2: entry 0 -> the first 2 MiB, as they are
//! 0x4000  code
//! ```

use std::ffi::{c_int, c_ulong};

use super::guest::{Step, StepFailed, call, check};

const KVM_GET_VCPU_MMAP_SIZE: c_ulong = 0xae04;
const KVM_SET_USER_MEMORY_REGION: c_ulong = 0x4020_ae46;
const KVM_RUN: c_ulong = 0xae80;
const KVM_SET_REGS: c_ulong = 0x4090_ae82;
const KVM_GET_SREGS: c_ulong = 0x8138_ae83;
const KVM_SET_SREGS: c_ulong = 0x4138_ae84;
const KVM_EXIT_IO: u32 = 2;
const KVM_EXIT_HLT: u32 = 5;

const PAGE: usize = 4096;
const MEMORY: usize = 5 * PAGE;
const TABLE_4: usize = 0x1000;
const TABLE_3: usize = 0x2000;
const TABLE_2: usize = 0x3000;
const CODE_ADDRESS: usize = 0x4000;
const PRESENT_WRITABLE: usize = 0b11;
const LARGE_PAGE: usize = 1 << 7;
/// Where each page table's first entry leads.
const ENTRIES: [(usize, usize); 3] = [
    (TABLE_4, TABLE_3 | PRESENT_WRITABLE),
    (TABLE_3, TABLE_2 | PRESENT_WRITABLE),
    (TABLE_2, LARGE_PAGE | PRESENT_WRITABLE),
];
/// ```text
/// 48 c7 c1 00 2d 31 01   mov rcx, 20000000
/// 48 ff c9               dec rcx
/// 75 fb                  jnz one instruction back
/// b0 2a                  mov al, 42
/// e6 10                  out 0x10, al
/// f4                     hlt
/// ```
const CODE: [u8; 17] = [
    0x48, 0xc7, 0xc1, 0x00, 0x2d, 0x31, 0x01, 0x48, 0xff, 0xc9, 0x75, 0xfb, 0xb0, 0x2a, 0xe6, 0x10,
    0xf4,
];
/// Times that a signal may interrupt a run.
const RUNS_MAX: u32 = 16;

/// `struct kvm_userspace_memory_region`
#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_address: u64,
    size: u64,
    host_address: u64,
}

/// `struct kvm_regs`
#[repr(C)]
struct Registers {
    general: [u64; 16],
    rip: u64,
    rflags: u64,
}

/// `struct kvm_segment`
#[derive(Clone, Copy)]
#[repr(C)]
struct Segment {
    base: u64,
    limit: u32,
    selector: u16,
    kind: u8,
    present: u8,
    privilege: u8,
    default_32: u8,
    code_or_data: u8,
    long: u8,
    granular: u8,
    available: u8,
    unusable: u8,
    padding: u8,
}

/// `struct kvm_sregs`
#[repr(C)]
struct SpecialRegisters {
    code: Segment,
    data: [Segment; 5],
    task_and_local: [Segment; 2],
    tables: [u64; 4],
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    rest: [u64; 5],
}

/// Protection, monitor, extension type, numeric error, write protect, paging.
const CR0: u64 = 1 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 31;
/// Physical address extension.
const CR4: u64 = 1 << 5;
/// Long mode, enabled and active.
const EFER: u64 = 1 << 8 | 1 << 10;

/// The beginning of `struct kvm_run`.
#[repr(C)]
struct Run {
    before: [u8; 8],
    exit_reason: u32,
}

const _: () = assert!(size_of::<MemoryRegion>() == 32);
const _: () = assert!(size_of::<Registers>() == 144);
const _: () = assert!(size_of::<SpecialRegisters>() == 312);

/// Gives the VM its memory, with page tables and code.
pub(super) fn set_memory(vm: c_int) -> Result<(), StepFailed> {
    let memory = map(MEMORY, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
    if memory == libc::MAP_FAILED {
        return check(Step::SetMemory, -1).map(|_| ());
    }
    for (address, entry) in ENTRIES {
        // SAFETY: the addresses lie in the memory that was just mapped writable, and are those
        // of pages, so aligned.
        unsafe { memory.byte_add(address).cast::<u64>().write(entry as u64) };
    }
    // SAFETY: the code's page is the last of the mapping and larger than the code.
    unsafe {
        let place = memory.byte_add(CODE_ADDRESS).cast::<u8>();
        std::ptr::copy_nonoverlapping(CODE.as_ptr(), place, CODE.len());
    }
    let region = MemoryRegion {
        slot: 0,
        flags: 0,
        guest_address: 0,
        size: MEMORY as u64,
        host_address: memory.addr() as u64,
    };
    // SAFETY: KVM reads one region, whose memory stays mapped until the child ends.
    let set = unsafe { libc::ioctl(vm, KVM_SET_USER_MEMORY_REGION as _, &raw const region) };
    check(Step::SetMemory, set).map(|_| ())
}

/// Runs the virtual CPU until it halts.
pub(super) fn run(kvm: c_int, vcpu: c_int) -> Result<(), StepFailed> {
    let size = check(Step::CreateVcpu, call(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))?;
    let size = usize::try_from(size).unwrap_or(0);
    let state = map(size, libc::MAP_SHARED, vcpu);
    if state == libc::MAP_FAILED || size < size_of::<Run>() {
        return check(Step::CreateVcpu, -1).map(|_| ());
    }
    set_registers(vcpu)?;
    for expected in [KVM_EXIT_IO, KVM_EXIT_HLT] {
        run_until_exit(vcpu)?;
        // SAFETY: the mapping is larger than `Run`, and KVM does not write while it is not
        // running this virtual CPU.
        let reason = unsafe { (*state.cast::<Run>()).exit_reason };
        if reason != expected {
            return Err(StepFailed {
                step: Step::Exit,
                errno: reason.cast_signed(),
            });
        }
    }
    Ok(())
}

fn run_until_exit(vcpu: c_int) -> Result<(), StepFailed> {
    let mut result = Ok(());
    for _ in 0..RUNS_MAX {
        result = check(Step::Run, call(vcpu, KVM_RUN, 0)).map(|_| ());
        if !matches!(
            result,
            Err(StepFailed {
                errno: libc::EINTR | libc::EAGAIN,
                ..
            })
        ) {
            break;
        }
    }
    result
}

fn set_registers(vcpu: c_int) -> Result<(), StepFailed> {
    // SAFETY: the structure is plain numbers, for which zero bytes are a value.
    let mut special: SpecialRegisters = unsafe { std::mem::zeroed() };
    // SAFETY: KVM writes one structure of this size.
    let read = unsafe { libc::ioctl(vcpu, KVM_GET_SREGS as _, &raw mut special) };
    check(Step::SetRegisters, read)?;
    let flat = Segment {
        base: 0,
        limit: u32::MAX,
        selector: 1 << 3,
        // Code, readable, accessed.
        kind: 0b1011,
        present: 1,
        privilege: 0,
        default_32: 0,
        code_or_data: 1,
        long: 1,
        granular: 1,
        available: 0,
        unusable: 0,
        padding: 0,
    };
    special.code = flat;
    // Data, writable, accessed.
    let data = Segment {
        selector: 2 << 3,
        kind: 0b0011,
        long: 0,
        default_32: 1,
        ..flat
    };
    special.data = [data; 5];
    special.cr0 = CR0;
    special.cr3 = TABLE_4 as u64;
    special.cr4 = CR4;
    special.efer = EFER;
    // SAFETY: KVM reads one structure of this size.
    let set = unsafe { libc::ioctl(vcpu, KVM_SET_SREGS as _, &raw const special) };
    check(Step::SetRegisters, set)?;
    // Bit 1 of the flags is always set.
    let registers = Registers {
        general: [0; 16],
        rip: CODE_ADDRESS as u64,
        rflags: 2,
    };
    // SAFETY: KVM reads one structure of this size.
    let set = unsafe { libc::ioctl(vcpu, KVM_SET_REGS as _, &raw const registers) };
    check(Step::SetRegisters, set).map(|_| ())
}

fn map(length: usize, flags: c_int, descriptor: c_int) -> *mut libc::c_void {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a fresh mapping at a place of the kernel's choice touches no other memory.
    unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            protection,
            flags,
            descriptor,
            0,
        )
    }
}
