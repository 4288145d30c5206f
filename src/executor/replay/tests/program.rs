//! Handlers made of instructions, and a host that runs them, badly: it crashes, loses answers and forgets.

use super::*;
use crate::model::{Error, Number};

/// What a handler does. Picks are taken modulo what there is, so that every program makes sense.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    Call {
        function: u8,
        arg: u8,
    },
    /// With a key of its own.
    CallAs(u8),
    Sleep,
    Signal(u8),
    Step(u8),
    All(Vec<u8>),
    Any(Vec<u8>),
    Cancel(u8),
    Count,
    State,
    /// At the clock and at chance.
    Look,
    /// Depending on what was seen last.
    SkipNextIfOdd,
}

/// A small generator of its own, so that a failing history is one number.
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

#[derive(Debug)]
pub enum Stop {
    Suspended(WaitMode, Vec<Op>),
    Crashed,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// One pass of a handler.
pub struct Pass<'a> {
    pub machine: Machine,
    pub store: &'a mut Store,
    pub chance: &'a mut Chance,
    /// 0: never crashes and nothing happens beside it.
    pub turmoil: usize,
    /// What the handler saw.
    pub trace: Vec<String>,
    /// Which instructions it executed.
    pub executed: Vec<usize>,
    ops: Vec<Op>,
    effects: i64,
}

impl<'a> Pass<'a> {
    pub fn new(machine: Machine, store: &'a mut Store, chance: &'a mut Chance, turmoil: usize) -> Self {
        Self { machine, store, chance, turmoil, trace: Vec::new(), executed: Vec::new(), ops: Vec::new(), effects: 0 }
    }

    /// To the end, and the end committed; or to where it stops.
    pub fn run(&mut self, program: &[Instruction]) -> Result<(), Stop> {
        let mut at = 0;
        while let Some(instruction) = program.get(at) {
            self.executed.push(at);
            at += 1;
            if *instruction == Instruction::SkipNextIfOdd {
                at += self.trace.last().map_or(0, |seen| seen.bytes().map(usize::from).sum::<usize>() % 2);
            } else {
                self.execute(instruction)?;
            }
            self.meanwhile();
            if self.turmoil > 0 && self.chance.one_in(10) && self.machine.has_commands() {
                self.commit()?;
            }
        }
        self.machine.end()?;
        self.commit()
    }

    fn execute(&mut self, instruction: &Instruction) -> Result<(), Stop> {
        match instruction {
            Instruction::Call { function, arg } => {
                let op = self.machine.call(&format!("f{function}"), &format!("[{arg}]"))?;
                self.ops.push(op);
            }
            Instruction::CallAs(function) => {
                let key = format!("at {}", self.executed.len());
                self.ops.push(self.machine.call_as(&key, &format!("f{function}"))?);
            }
            Instruction::Sleep => self.ops.push(self.machine.timer(None, SECOND)?),
            Instruction::Signal(name) => self.ops.push(self.machine.signal(&format!("s{name}"), None, None)?),
            Instruction::Step(name) => self.step(&format!("f{name}"))?,
            Instruction::All(picks) => {
                let ops = self.pick(picks);
                self.wait(&ops, WaitMode::All)?;
                for op in ops {
                    self.see(op)?;
                }
            }
            Instruction::Any(picks) => {
                let ops = self.pick(picks);
                if !ops.is_empty() {
                    let first = self.wait(&ops, WaitMode::Any)?;
                    self.see(first)?;
                }
            }
            Instruction::Cancel(pick) => {
                for op in self.pick(&[*pick]) {
                    self.machine.cancel(op)?;
                }
                if self.machine.has_commands() {
                    self.commit()?;
                }
            }
            Instruction::Count => {
                self.effects += 1;
                self.machine.counter("n", Number::Integer(self.effects))?;
            }
            Instruction::State => {
                self.effects += 1;
                self.machine.state(&self.effects.to_string(), Payload::null())?;
            }
            Instruction::Look => {
                let (now, random, uuid) = (self.machine.now(), self.machine.random(), self.machine.uuid());
                self.trace.push(format!("{now} {random} {uuid}"));
            }
            Instruction::SkipNextIfOdd => {}
        }
        Ok(())
    }

    fn step(&mut self, name: &str) -> Result<(), Stop> {
        let begun = self.machine.step_begin(name, None)?;
        if !begun.recorded {
            // A body that comes to something else each time it is run.
            let result = self.chance.below(1000).to_string();
            self.machine.step_end(begun.op, Timestamp::default(), Ok(result.as_str().into()))?;
            self.commit()?;
        }
        self.wait(&[begun.op], WaitMode::All)?;
        self.ops.push(begun.op);
        self.see(begun.op)
    }

    fn pick(&self, picks: &[u8]) -> Vec<Op> {
        let pick = |pick: &u8| self.ops.get(usize::from(*pick) % self.ops.len().max(1)).copied();
        picks.iter().filter_map(pick).collect()
    }

    fn see(&mut self, op: Op) -> Result<(), Stop> {
        let index = self.ops.iter().position(|other| *other == op);
        self.trace.push(format!("{index:?} {:?}", self.machine.outcome(op)?.expect("it was handed over")));
        Ok(())
    }

    fn wait(&mut self, ops: &[Op], mode: WaitMode) -> Result<Op, Stop> {
        loop {
            match self.machine.poll(ops, mode)? {
                Poll::Ready { first } => return Ok(first),
                Poll::NeedNews => {}
                // Hold on for a while, or give way.
                Poll::Waiting { .. } if self.turmoil > 0 && self.chance.one_in(3) => {
                    self.commit()?;
                    self.meanwhile();
                }
                Poll::Waiting { mode, ops } => {
                    self.commit()?;
                    return Err(Stop::Suspended(mode, ops.iter().collect()));
                }
            }
            load(&mut self.machine, self.store);
        }
    }

    /// Commits everything in chunks, if it does not die before, between or after.
    fn commit(&mut self) -> Result<(), Stop> {
        let size = 1 + self.chance.below(4);
        while self.machine.has_commands() {
            self.crash()?;
            let (arrivals, latest) = self.store.apply(self.machine.take_chunk(size));
            self.crash()?;
            self.machine.committed(&arrivals, latest);
        }
        Ok(())
    }

    fn crash(&mut self) -> Result<(), Stop> {
        self.meanwhile();
        if self.turmoil > 0 && self.chance.one_in(self.turmoil) { Err(Stop::Crashed) } else { Ok(()) }
    }

    /// The world goes on, and now and then the machine hears of it.
    fn meanwhile(&mut self) {
        if self.turmoil == 0 {
            return;
        }
        if self.chance.one_in(3) {
            self.store.happen(self.chance.below(1000));
        }
        if self.chance.one_in(6) {
            load(&mut self.machine, self.store);
        }
    }
}
