// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv-guard`: libvirt's hook that lets nothing run that the host's policy does not allow.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    thread,
    time::Duration,
};

use clap::{Args, Parser};
use hv_guard::{
    hook::{self, Call},
    journal, setup, spool,
};
use hv_model::refusal::{GuardEffect, GuardRefusal};

/// The host's policy, where none is named.
const POLICY: &str = "/etc/hyper-nixos/host-policy.toml";

/// How long libvirt may be kept waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets no VM run that the host's policy does not allow, whoever defined it.
///
/// libvirt runs it as its hook for QEMU, with the VM's XML on standard input, before a VM starts;
/// it fails, and libvirt starts nothing, if the policy does not allow all of it.
#[derive(Debug, Parser)]
#[command(
    name = "hv-guard",
    version,
    after_help = "Examples:\n  \
        virsh dumpxml web | hv-guard --check -   would this VM be allowed to run?\n  \
        sudo hv-guard --install                  from libvirt's next start on, be its hook"
)]
struct Arguments {
    #[command(flatten)]
    task: Task,
    /// The host's policy.
    #[arg(long, value_name = "FILE", default_value = POLICY)]
    policy: PathBuf,
    /// Where libvirt looks for hooks.
    #[arg(long, value_name = "FOLDER", default_value = setup::HOOKS)]
    hooks: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Task {
    /// Judge a VM's XML and say what is not allowed; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Say whether the hook does its work.
    #[arg(long)]
    status: bool,
    /// Become libvirt's hook.
    #[arg(long)]
    install: bool,
    /// Cease to be libvirt's hook.
    #[arg(long)]
    remove: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Before options are looked for: a VM can be called `--help`.
    let (policy, called) = match arguments.as_slice() {
        ["--policy", policy, "--hook", called @ ..] => (*policy, Call::of(called)),
        called => (POLICY, Call::of(called)),
    };
    match called {
        Some(call) => answer(Path::new(policy), &call),
        None => run(&Arguments::parse()),
    }
}

/// Answers libvirt. What it says on standard error, libvirt shows; on standard output it must say
/// nothing, since libvirt would take that for the VM's new XML.
fn answer(policy: &Path, call: &Call<'_>) -> ExitCode {
    let timer = thread::Builder::new().spawn(|| {
        thread::sleep(PATIENCE);
        eprintln!(
            "hv-guard: refused: it took longer than {} s to judge",
            PATIENCE.as_secs()
        );
        process::exit(1);
    });
    if let Err(error) = timer {
        eprintln!("hv-guard: refused: it can't be judged in bounded time: {error}");
        return ExitCode::FAILURE;
    }
    let refusal = hook::answer(policy, call, io::stdin().lock());
    let folder = Path::new(spool::FOLDER);
    if let Some(refusal) = &refusal {
        report(folder, refusal);
    }
    // Of use to `--status` alone, and not worth failing for.
    let _ = setup::note_called(folder);
    match refusal {
        Some(refusal) if refusal.effect == GuardEffect::Refused => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn report(folder: &Path, refusal: &GuardRefusal) {
    let (operation, name) = (&refusal.operation, &refusal.name);
    match refusal.effect {
        GuardEffect::Refused => eprintln!("hv-guard: VM {name:?} is refused ({operation}):"),
        GuardEffect::Reported => eprintln!("hv-guard: VM {name:?} runs against the host's policy:"),
    }
    for reason in &refusal.reasons {
        eprintln!("{}", reason.replace(char::is_control, "?"));
    }
    let (spooled, logged) = (spool::add(folder, refusal), journal::tell(refusal));
    if let (Err(spooled), Err(logged)) = (spooled, logged) {
        eprintln!(
            "this could not be recorded: {}: {spooled}; log: {logged}",
            folder.display()
        );
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let Arguments {
        task,
        policy,
        hooks,
    } = arguments;
    let result = if let Some(file) = &task.check {
        return check(policy, file);
    } else if task.install {
        install(hooks, policy)
    } else if task.remove {
        remove(hooks)
    } else {
        return status(hooks, policy);
    };
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(policy: &Path, file: &Path) -> ExitCode {
    let checked = if file == Path::new("-") {
        hook::check(policy, io::stdin().lock())
    } else {
        match File::open(file) {
            Ok(file) => hook::check(policy, file),
            Err(error) => {
                eprintln!("error: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
    };
    match checked {
        Ok(_) => {
            println!("The host's policy allows this VM.");
            ExitCode::SUCCESS
        }
        Err(refusals) => {
            eprintln!("The host's policy does not allow this VM:");
            for refusal in refusals.iter() {
                eprintln!("  {}", refusal.to_string().replace(char::is_control, "?"));
            }
            ExitCode::FAILURE
        }
    }
}

fn status(hooks: &Path, policy: &Path) -> ExitCode {
    let findings = setup::status(hooks, policy, Path::new(spool::FOLDER));
    for finding in &findings {
        println!("{finding}");
    }
    if findings.iter().all(|finding| finding.well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn install(hooks: &Path, policy: &Path) -> io::Result<String> {
    let hook = setup::install(hooks, &std::env::current_exe()?, policy)?;
    let hook = hook.display();
    Ok(format!(
        "{hook} is in its place. libvirt finds it when it starts: systemctl restart libvirtd"
    ))
}

fn remove(hooks: &Path) -> io::Result<String> {
    let was_there = setup::remove(hooks)?;
    Ok(if was_there {
        "The hook is removed. The broker still judges what is asked of it; nobody judges what others define.".to_owned()
    } else {
        "There was no hook of hv-guard.".to_owned()
    })
}
