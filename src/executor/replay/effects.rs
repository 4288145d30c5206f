//! Effects (progress, counters, state values), heartbeats, and values that are the same in every run.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{Number, Payload, ProgressEntry, Result, check_name};

use super::Machine;

impl Machine {
    pub fn progress(&mut self, entry: ProgressEntry) -> Result<()> {
        self.sound()?;
        if self.is_new_effect() {
            self.pass.staged.progress.push(entry);
        }
        Ok(())
    }

    pub fn counter(&mut self, name: &str, amount: Number) -> Result<()> {
        self.sound()?;
        check_name("counter", name)?;
        if self.is_new_effect() {
            self.pass.staged.counters.push((name.to_owned(), amount));
        }
        Ok(())
    }

    pub fn state(&mut self, key: &str, value: Payload) -> Result<()> {
        self.sound()?;
        check_name("key", key)?;
        if self.is_new_effect() {
            self.pass.staged.state.push((key.to_owned(), value));
        }
        Ok(())
    }

    /// Details for the next attempt; the last ones count. Not an effect: every run records them anew.
    pub fn heartbeat(&mut self, details: Payload) -> Result<()> {
        self.sound()?;
        self.pass.staged.heartbeat = Some(details);
        Ok(())
    }

    pub fn random(&mut self) -> u64 {
        let digest = self.digest("random", self.pass.randoms);
        self.pass.randoms += 1;
        digest.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// A UUIDv8: its bits follow from the task's id.
    pub fn uuid(&mut self) -> Uuid {
        let digest = self.digest("uuid", self.pass.uuids);
        self.pass.uuids += 1;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// Counts an effect. True: it is not recorded yet.
    fn is_new_effect(&mut self) -> bool {
        self.pass.effects += 1;
        let new = self.pass.effects > self.pass.recorded_effects;
        self.pass.fresh |= new;
        new
    }

    fn digest(&self, purpose: &str, count: u64) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.task.as_bytes());
        hash.update(self.run.to_be_bytes());
        hash.update(count.to_be_bytes());
        hash.update(purpose.as_bytes());
        hash.finalize().into()
    }
}
