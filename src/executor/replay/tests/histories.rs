//! Random handlers in a world of crashes: each run sees what the runs before it saw.

use proptest::prelude::*;

use super::program::{Chance, Instruction, Pass, Stop};
use super::*;

fn instruction() -> impl Strategy<Value = Instruction> {
    let picks = || prop::collection::vec(any::<u8>(), 1..4);
    prop_oneof![
        6 => (0..3_u8, 0..3_u8).prop_map(|(function, arg)| Instruction::Call { function, arg }),
        1 => (0..3_u8).prop_map(Instruction::CallAs),
        2 => Just(Instruction::Sleep),
        2 => (0..2_u8).prop_map(Instruction::Signal),
        2 => (0..3_u8).prop_map(Instruction::Step),
        3 => picks().prop_map(Instruction::All),
        4 => picks().prop_map(Instruction::Any),
        2 => any::<u8>().prop_map(Instruction::Cancel),
        1 => Just(Instruction::Count),
        1 => Just(Instruction::State),
        2 => Just(Instruction::Look),
        2 => Just(Instruction::SkipNextIfOdd),
    ]
}

fn program() -> impl Strategy<Value = Vec<Instruction>> {
    prop::collection::vec(instruction(), 1..30)
}

/// What came of a program: its store, what it saw, which instructions were executed.
struct History {
    store: Store,
    trace: Vec<String>,
    executed: Vec<usize>,
}

/// Runs a program to its end through suspensions and crashes, each pass checked against those before it.
fn live(program: &[Instruction], seed: u64) -> History {
    let (mut store, mut chance) = (Store::default(), Chance(seed));
    let mut machine = cold(&store);
    let mut longest: Vec<String> = Vec::new();
    for passes in 0.. {
        // Crashes get rarer, so that there is an end.
        let mut pass = Pass::new(machine, &mut store, &mut chance, 12 + passes);
        let stop = pass.run(program);
        let (trace, executed, kept) = (pass.trace, pass.executed, pass.machine);
        let common = trace.len().min(longest.len());
        assert_eq!(trace[..common], longest[..common], "a replay saw something else");
        if trace.len() > longest.len() {
            longest = trace;
        }
        machine = match stop {
            Ok(()) => return History { store, trace: longest, executed },
            Err(Stop::Error(error)) => panic!("{error}"),
            Err(Stop::Crashed) => cold(&store),
            Err(Stop::Suspended(mode, ops)) => {
                let wait = |op: &Op| store.has_arrived(*op);
                assert!(!ops.is_empty() && ops.iter().all(|op| store.rows.contains_key(op)));
                let mut over = ops.iter().any(wait) && (mode == WaitMode::Any || ops.iter().all(wait));
                while !over {
                    store.happen(chance.below(1000));
                    let wait = |op: &Op| store.has_arrived(*op);
                    over = ops.iter().any(wait) && (mode == WaitMode::Any || ops.iter().all(wait));
                }
                resume(kept, &mut store, chance.below(3) > 0)
            }
        };
    }
    unreachable!("the passes are without end")
}

fn resume(mut kept: Machine, store: &mut Store, warm: bool) -> Machine {
    if !warm {
        return cold(store);
    }
    let claim = store.next_claim();
    store.holders += 1;
    assert!(kept.fits(&claim), "nobody else has run it");
    let news = store.journal(kept.high_water());
    kept.restart(&claim, news);
    kept
}

/// One quiet pass over what is recorded.
fn replay(program: &[Instruction], store: &mut Store) -> (Result<(), Stop>, Vec<String>, Machine) {
    let machine = cold(store);
    let mut chance = Chance(0);
    let mut pass = Pass::new(machine, store, &mut chance, 0);
    let stop = pass.run(program);
    (stop, pass.trace, pass.machine)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The store refuses what is spawned twice; here: all that was seen is seen again, nothing is left to record, and
    /// every effect was recorded once.
    #[test]
    fn every_run_sees_the_same_and_records_once(mut program in program(), seed: u64) {
        // Nothing is said before there is a journal: that is said again by each attempt.
        program.insert(0, Instruction::Call { function: 0, arg: 0 });
        let History { mut store, trace, executed } = live(&program, seed);
        let rows = store.rows.len();
        let (stop, again, machine) = replay(&program, &mut store);
        prop_assert!(stop.is_ok(), "{stop:?}");
        prop_assert_eq!(trace, again);
        prop_assert!(!machine.has_commands() && machine.left_over().is_empty());
        prop_assert_eq!(store.rows.len(), rows);
        let said = |at: &&usize| matches!(program[**at], Instruction::Count | Instruction::State);
        let said = i64::try_from(executed.iter().filter(said).count()).unwrap();
        store.effects.sort_unstable();
        prop_assert_eq!(store.effects, (1..=said).collect::<Vec<_>>());
    }

    /// Another input for a recorded call is found out there and then, and what was seen before it was the same.
    #[test]
    fn another_input_is_a_mismatch(mut program in program(), seed: u64, pick: prop::sample::Index) {
        program.insert(0, Instruction::Call { function: 0, arg: 0 });
        let History { mut store, trace, executed } = live(&program, seed);
        let calls: Vec<usize> =
            executed.into_iter().filter(|at| matches!(program[*at], Instruction::Call { .. })).collect();
        let mut changed = program;
        if let Instruction::Call { arg, .. } = &mut changed[*pick.get(&calls)] {
            *arg += 100;
        }
        let (stop, again, machine) = replay(&changed, &mut store);
        prop_assert!(matches!(&stop, Err(Stop::Error(error)) if error.status() == Status::Nondeterminism), "{stop:?}");
        prop_assert_eq!(&trace[..again.len()], &again[..]);
        prop_assert!(!machine.has_commands());
    }

    /// Two numbered operations that change places are found out there and then.
    #[test]
    fn another_order_is_a_mismatch(mut program in program(), seed: u64, at: prop::sample::Index) {
        let at = at.index(program.len());
        for (number, function) in (0_u8..).zip([7, 8]) {
            program.insert(at, Instruction::Call { function, arg: number });
        }
        let History { mut store, executed, .. } = live(&program, seed);
        let mut changed = program;
        changed.swap(at, at + 1);
        let (stop, ..) = replay(&changed, &mut store);
        if executed.contains(&at) && executed.contains(&(at + 1)) {
            prop_assert!(matches!(&stop, Err(Stop::Error(error)) if error.status() == Status::Nondeterminism));
        }
    }

    /// What is left out is found out at the latest when the handler ends.
    #[test]
    fn a_left_out_operation_is_a_mismatch(mut program in program(), seed: u64, own_key: bool) {
        let last = if own_key { Instruction::CallAs(7) } else { Instruction::Call { function: 7, arg: 0 } };
        program.retain(|instruction| *instruction != Instruction::SkipNextIfOdd);
        program.push(last);
        let History { mut store, .. } = live(&program, seed);
        program.pop();
        let (stop, ..) = replay(&program, &mut store);
        prop_assert!(matches!(&stop, Err(Stop::Error(error)) if error.status() == Status::Nondeterminism), "{stop:?}");
    }

    /// Whatever else becomes of the code, the machine answers.
    #[test]
    fn changed_programs_end_in_order(
        program in program(), seed: u64, at: prop::sample::Index, other in instruction(), insert: bool,
    ) {
        let mut store = live(&program, seed).store;
        let mut changed = program;
        let at = at.index(changed.len());
        if insert { changed.insert(at, other) } else { changed[at] = other }
        let (stop, ..) = replay(&changed, &mut store);
        if let Err(Stop::Error(error)) = stop {
            prop_assert_eq!(error.status(), Status::Nondeterminism);
        }
    }

    /// A host of coroutines: each delivery makes it ask for more. The order is the same in every run.
    #[test]
    fn coroutines_are_fed_in_the_same_order(seed: u64, width in 1..5_u32, length in 1..25_usize) {
        let (mut store, mut chance) = (Store::default(), Chance(seed));
        let mut longest: Vec<String> = Vec::new();
        let mut machine = cold(&store);
        while longest.len() < length {
            let trace = feed(&mut machine, &mut store, &mut chance, width, length);
            let common = trace.len().min(longest.len());
            prop_assert_eq!(&trace[..common], &longest[..common]);
            if trace.len() > longest.len() {
                longest = trace;
            }
            store.happen(chance.below(1000));
            machine = cold(&store);
        }
        let rows = store.rows.len();
        prop_assert_eq!(feed(&mut machine, &mut store, &mut chance, width, length), longest);
        prop_assert_eq!(store.rows.len(), rows);
    }
}

/// Runs coroutines until `length` deliveries, or nothing is there, or a crash; what was delivered.
fn feed(machine: &mut Machine, store: &mut Store, chance: &mut Chance, width: u32, length: usize) -> Vec<String> {
    let mut names: Vec<(Op, String)> = Vec::new();
    for n in 0..width {
        names.push((machine.call("f", "[]").unwrap(), format!("first {n}")));
    }
    let mut trace: Vec<String> = Vec::new();
    while trace.len() < length {
        match machine.next_delivery().unwrap() {
            Delivery::Op(op) => {
                let name = names.iter().find(|(other, _)| *other == op).unwrap().1.clone();
                let outcome = machine.outcome(op).unwrap().unwrap();
                let next = match outcome {
                    OpOutcome::Failed(_) => machine.timer(None, SECOND).unwrap(),
                    OpOutcome::Completed(_) | OpOutcome::Cancelled => machine.call("f", "[]").unwrap(),
                };
                trace.push(format!("{name} {outcome:?} at {}", machine.now()));
                names.push((next, format!("after {name}")));
            }
            Delivery::NeedNews => load(machine, store),
            Delivery::Nothing => {
                if !machine.has_commands() {
                    return trace;
                }
                if chance.below(5) == 0 {
                    return trace;
                }
                store.happen(chance.below(1000));
                commit(machine, store);
                store.happen(chance.below(1000));
            }
        }
    }
    trace
}
