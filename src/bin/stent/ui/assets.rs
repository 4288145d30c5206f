//! Style and scripts. Their names have a hash of what they are, so that a browser asks for each of them once.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::guard::hex;

pub struct Asset {
    /// As in `/assets/NAME`.
    pub name: String,
    pub kind: &'static str,
    pub text: &'static str,
}

pub struct Assets {
    pub style: Asset,
    pub script: Asset,
    pub timeline: Asset,
    pub icon: Asset,
    pub early: Asset,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: asset("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    script: asset("page", "js", SCRIPT, include_str!("assets/page.js")),
    timeline: asset("timeline", "js", SCRIPT, include_str!("assets/timeline.js")),
    icon: asset("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
    early: asset("early", "js", SCRIPT, include_str!("assets/early.js")),
});

/// The file of the API, which its documents name.
pub const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

fn asset(name: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
    let hash = hex(&Sha256::digest(text)[..6]);
    Asset { name: format!("{name}.{hash}.{ending}"), kind, text }
}

impl Assets {
    pub fn find(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.script, &self.timeline, &self.icon, &self.early]
            .into_iter()
            .find(|asset| asset.name == name)
    }
}
