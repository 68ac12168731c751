// SPDX-License-Identifier: GPL-3.0-or-later
//! A guest that is small enough to be written out here: it says one text on its serial console,
//! again and again, and can write to its second disk.
//!
//! It is a boot sector with what it reads behind it, so that no image has to be downloaded for the
//! suite, and a VM says its first word a second after its start.

/// The length of a sector.
const SECTOR: usize = 512;
/// How many sectors the text may take, and how many what is written to the second disk.
const PART: usize = 8;

/// The program: 16-bit code for a PC's BIOS, loaded at 0x7c00.
///
/// ```text
///   fa             cli
///   31 c0          xor  ax, ax
///   8e d8          mov  ds, ax
///   8e c0          mov  es, ax
///   8e d0          mov  ss, ax
///   bc 00 7c       mov  sp, 0x7c00
///   fb             sti
///   be 40 7c       mov  si, 0x7c40      ; the first packet: read 16 sectors to 0x7e00
///   b4 42          mov  ah, 0x42
///   cd 13          int  0x13
///   be 50 7c       mov  si, 0x7c50      ; the second: write 8 from 0x8e00 to disk 0x81
///   b2 81          mov  dl, 0x81
///   b8 00 43       mov  ax, 0x4300
///   cd 13          int  0x13            ; without a second disk this fails, and no more
/// again:
///   be 00 7e       mov  si, 0x7e00
/// next:
///   ac             lodsb
///   84 c0          test al, al
///   74 12          jz   rest
///   88 c3          mov  bl, al
/// wait:
///   ba fd 03       mov  dx, 0x3fd
///   ec             in   al, dx
///   a8 20          test al, 0x20
///   74 f8          jz   wait
///   ba f8 03       mov  dx, 0x3f8
///   88 d8          mov  al, bl
///   ee             out  dx, al
///   eb e9          jmp  next
/// rest:
///   eb 26          jmp  0x7c60
/// ```
const START: [u8; 0x3a] = [
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, 0xbe, 0x40, 0x7c,
    0xb4, 0x42, 0xcd, 0x13, 0xbe, 0x50, 0x7c, 0xb2, 0x81, 0xb8, 0x00, 0x43, 0xcd, 0x13, 0xbe, 0x00,
    0x7e, 0xac, 0x84, 0xc0, 0x74, 0x12, 0x88, 0xc3, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xf8,
    0xba, 0xf8, 0x03, 0x88, 0xd8, 0xee, 0xeb, 0xe9, 0xeb, 0x26,
];

/// What follows at 0x7c60: half a second of rest, and then the text again.
///
/// ```text
///   b9 09 00       mov  cx, 9
/// tick:
///   f4             hlt                  ; until the clock's next tick, 18 a second
///   e2 fd          loop tick
///   eb b6          jmp  again
/// ```
const REST: [u8; 8] = [0xb9, 0x09, 0x00, 0xf4, 0xe2, 0xfd, 0xeb, 0xb6];

/// A disk whose guest says this text, and writes these bytes to the start of its second disk.
pub fn disk(text: &[u8], second: &[u8]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    // Disk address packets: length, count, offset, segment, first sector.
    let packet = |offset: u16, count: u8, first: u8| {
        let [low, high] = offset.to_le_bytes();
        [16, 0, count, 0, low, high, 0, 0, first, 0, 0, 0, 0, 0, 0, 0]
    };
    let mut put = |at: usize, bytes: &[u8], longest: usize| {
        let bytes = bytes.get(..longest).unwrap_or(bytes);
        if let Some(place) = disk.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, &START, START.len());
    put(0x40, &packet(0x7e00, 16, 1), 16);
    put(0x50, &packet(0x8e00, 8, 0), 16);
    put(0x60, &REST, REST.len());
    put(510, &[0x55, 0xaa], 2);
    // A zero ends the text.
    put(SECTOR, text, PART * SECTOR - 1);
    put((1 + PART) * SECTOR, second, PART * SECTOR);
    disk
}
