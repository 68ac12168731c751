// SPDX-License-Identifier: GPL-3.0-or-later
//! What a running process costs, as `/proc` tells it.

use std::{fs, path::PathBuf, thread, time::Duration, time::Instant};

use hv_e2e::PrivateHost;

use crate::{
    failure::{During, Failure, Result},
    report::{Figure, Unit},
};

/// The unit of CPU time in `/proc`, on every architecture that the product runs on.
const TICK_MILLISECONDS: u64 = 10;

/// A running process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

impl Process {
    /// The process with this number.
    pub(crate) const fn new(pid: u32) -> Self {
        Self(pid)
    }

    /// libvirtd of a private host, by its number outside.
    pub(crate) fn libvirtd_of(host: &PrivateHost) -> Result<Self> {
        let namespace = host.exec(&["readlink", "/proc/self/ns/pid"]);
        let processes = fs::read_dir("/proc").during("read /proc")?;
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(Self)
            .find(|process| {
                let name = fs::read_to_string(process.path("comm"));
                let inside = fs::read_link(process.path("ns/pid"));
                name.is_ok_and(|name| name.trim() == "libvirtd")
                    && inside.is_ok_and(|inside| inside.to_string_lossy() == namespace.trim())
            })
            .during("find the private host's libvirtd")
    }

    /// The memory that it holds: the sum of what is its own and what it shares.
    pub(crate) fn memory(self) -> Result<Figure> {
        self.memory_field("VmRSS:")
    }

    fn memory_field(self, field: &str) -> Result<Figure> {
        let path = self.path("status");
        let status = fs::read_to_string(&path).during(&path.to_string_lossy())?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.split_whitespace().next())
            .and_then(|number| number.parse::<u32>().ok())
            .during("read a process's memory")?;
        Ok(Figure::once(
            f64::from(kibibytes) * 1024.0 / 1e6,
            Unit::Megabytes,
        ))
    }

    /// The CPU time of all its threads so far, of those that ended, too.
    fn cpu_time(self) -> Result<Duration> {
        let path = self.path("stat");
        let stat = fs::read_to_string(&path).during(&path.to_string_lossy())?;
        // The name in brackets may hold anything; behind it, the 12th and 13th fields are the time
        // in user mode and in the kernel (proc_pid_stat(5)).
        let (_, fields) = stat.rsplit_once(')').during("read a process's CPU time")?;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * TICK_MILLISECONDS))
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }
}

/// How much of one CPU each of these processes uses within this time, while nobody asks anything.
pub(crate) fn idle_cpu<const N: usize>(
    processes: [Process; N],
    time: Duration,
) -> Result<[Figure; N]> {
    let all = |processes: [Process; N]| {
        processes
            .into_iter()
            .map(Process::cpu_time)
            .collect::<Result<Vec<_>>>()
    };
    let (begun, before) = (Instant::now(), all(processes)?);
    thread::sleep(time);
    let (elapsed, after) = (begun.elapsed(), all(processes)?);
    let used: Vec<_> = before
        .into_iter()
        .zip(after)
        .map(|(before, after)| {
            let used = after.saturating_sub(before);
            let percent = used.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
            Figure::once(percent, Unit::PercentOfCpu)
        })
        .collect();
    used.try_into()
        .map_err(|_| Failure::new("measure idle CPU", "a process is missing"))
}
