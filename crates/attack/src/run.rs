// SPDX-License-Identifier: GPL-3.0-or-later
//! Root's side: lays out the stage, lets each actor try, and looks what became of the host.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Actor, Attempt, Door, Facts, Outcome, Places, Report, Stage, Tried, Trouble,
    actor::{Deed, Order},
    all,
};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long others may have to wait for an answer, on a busy machine.
const OTHERS_WAIT: Duration = Duration::from_secs(6);
/// How often they ask.
const PAUSE: Duration = Duration::from_millis(100);

/// What is to be tried.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// By whom; by everybody, if empty.
    pub actors: Vec<Actor>,
    /// Attempts by these names; all, if empty.
    pub only: Vec<String>,
    /// Who carries out every attempt in place of its own actors: to show what others could do.
    pub by: Option<Actor>,
}

impl Wish {
    fn includes(&self, attempt: &Attempt, actor: Actor) -> bool {
        // Who carries it out for all of its actors does it once.
        let is_first = self.by.is_none() || attempt.actors.first() == Some(&actor);
        is_first
            && (self.actors.is_empty() || self.actors.contains(&actor))
            && (self.only.is_empty() || self.only.iter().any(|name| name == attempt.name))
    }

    fn check(&self) -> Result<(), Trouble> {
        let unknown = self
            .only
            .iter()
            .find(|name| all().all(|attempt| attempt.name != name.as_str()));
        match unknown {
            Some(name) => Err(Trouble(format!(
                "there is no attempt {name}: hv attack list"
            ))),
            None => Ok(()),
        }
    }
}

/// Carries out attempts on the host at these places, and tells of each as it ends.
pub fn run(places: &Places, wish: &Wish, mut tell: impl FnMut(&Tried)) -> Result<Report, Trouble> {
    wish.check()?;
    let mut stage = Stage::lay_out(places)?;
    let mut report = Report::default();
    let mut cast = Cast::default();
    for actor in Actor::ALL {
        for attempt in all().filter(|attempt| attempt.actors.contains(actor)) {
            if wish.includes(attempt, *actor) {
                let by = wish.by.unwrap_or(*actor);
                let outcome = try_it(&mut stage, &mut cast, attempt, *actor, by);
                let tried = Tried::new(attempt, *actor, outcome);
                tell(&tried);
                report.attempts.push(tried);
            }
        }
    }
    drop(cast);
    stage.clear()?;
    if report.attempts.is_empty() {
        return Err(Trouble::new(
            "no attempt is of this name and by this actor: hv attack list",
        ));
    }
    Ok(report)
}

fn try_it(
    stage: &mut Stage,
    cast: &mut Cast,
    attempt: &Attempt,
    actor: Actor,
    by: Actor,
) -> Outcome {
    let mut facts = Facts::new();
    let laid_out = stage
        .mend()
        .and_then(|()| (attempt.set_up)(stage, &mut facts));
    let tried = laid_out.and_then(|()| {
        let before = stage.picture()?;
        let others = Others::begin(stage.root.hvd().clone());
        let loot = cast.ask(stage, (by, actor), attempt, &facts);
        let waited = others.end();
        let loot = loot?;
        let after = stage.picture()?;
        let evidence = stage
            .harm(actor, &before, &after, &loot)
            .or_else(|| waited_too_long(waited))
            .or_else(|| (attempt.evidence)(stage, &facts, &loot));
        Ok(match evidence {
            Some(evidence) => Outcome::Succeeded { evidence },
            None => Outcome::Stopped { told: loot.told },
        })
    });
    let cleared = (attempt.clear)(stage, &facts);
    match (tried, cleared) {
        (Err(Trouble(why)), _) | (Ok(Outcome::Stopped { .. }), Err(Trouble(why))) => {
            Outcome::NotTried { why }
        }
        (Ok(outcome), _) => outcome,
    }
}

fn waited_too_long(waited: Duration) -> Option<String> {
    let seconds = waited.as_secs();
    (waited > OTHERS_WAIT).then(|| format!("root waited {seconds} seconds for an answer of hvd's"))
}

/// Somebody else, who asks hvd for something all the while.
struct Others {
    over: Arc<AtomicBool>,
    asking: thread::JoinHandle<Duration>,
}

impl Others {
    fn begin(hvd: Door) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let asking = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !told.load(Ordering::Relaxed) {
                let begun = Instant::now();
                // One that fails is seen in the picture that follows.
                hvd.get("/v1/version").ok();
                longest = longest.max(begun.elapsed());
                thread::sleep(PAUSE);
            }
            longest
        });
        Self { over, asking }
    }

    /// How long they had to wait at most.
    fn end(self) -> Duration {
        self.over.store(true, Ordering::Relaxed);
        self.asking.join().unwrap_or_default()
    }
}

/// The children, one an actor.
#[derive(Default)]
struct Cast(BTreeMap<Actor, Player>);

struct Player {
    child: Child,
    orders: ChildStdin,
    deeds: Receiver<String>,
}

impl Cast {
    /// Has somebody carry out what is an actor's to try.
    fn ask(
        &mut self,
        stage: &Stage,
        (by, actor): (Actor, Actor),
        attempt: &Attempt,
        facts: &Facts,
    ) -> Result<crate::Loot, Trouble> {
        let mut player = match self.0.remove(&by) {
            Some(player) => player,
            None => Player::start(stage, by)?,
        };
        let order = Order {
            attempt: attempt.name.to_owned(),
            arena: stage.arena_of(actor),
            facts: facts.clone(),
        };
        // One that went wrong is not asked again: it may still be at it.
        let deed = player.ask(&order)?;
        self.0.insert(by, player);
        match deed {
            Deed::Loot(loot) => Ok(loot),
            Deed::Trouble(why) => Err(Trouble(why)),
        }
    }
}

impl Player {
    fn start(stage: &Stage, actor: Actor) -> Result<Self, Trouble> {
        let mut child = stage.child(actor)?;
        let gone = || Trouble::new("a child has no streams");
        let orders = child.stdin.take().ok_or_else(gone)?;
        let said = child.stdout.take().ok_or_else(gone)?;
        let (sender, deeds) = sync_channel(1);
        thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            orders,
            deeds,
        })
    }

    fn ask(&mut self, order: &Order) -> Result<Deed, Trouble> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        let gone = |_| Trouble::new("the actor's process has ended");
        self.orders.write_all(&line).map_err(gone)?;
        match self.deeds.recv_timeout(PATIENCE) {
            Ok(line) => Ok(serde_json::from_str(&line)?),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = PATIENCE.as_secs();
                Err(Trouble(format!("it was not over after {seconds} seconds")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::new("the actor's process has ended"))
            }
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().ok();
    }
}
