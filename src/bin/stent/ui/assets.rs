//! Style and scripts. Their names have a hash of what they are, so that a browser asks for each of them once.

use std::borrow::Cow;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::guard::hex;

pub struct Asset {
    /// As in `/assets/NAME`.
    pub name: String,
    pub kind: &'static str,
    pub text: Cow<'static, str>,
}

pub struct Assets {
    pub style: Asset,
    pub script: Asset,
    pub timeline: Asset,
    pub icon: Asset,
    pub early: Asset,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// As the scripts call each other where they are written.
const IMPORTED: &str = "./page.js";

pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let script = asset("page", "js", SCRIPT, include_str!("assets/page.js"));
    let timeline = include_str!("assets/timeline.js").replace(IMPORTED, &format!("./{}", script.name));
    Assets {
        style: asset("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")),
        script,
        timeline: asset("timeline", "js", SCRIPT, timeline),
        icon: asset("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
        early: asset("early", "js", SCRIPT, include_str!("assets/early.js")),
    }
});

/// The file of the API, which its documents name.
pub const OPENAPI: &str = include_str!("../../../../docs/openapi.json");

fn asset(name: &str, ending: &str, kind: &'static str, text: impl Into<Cow<'static, str>>) -> Asset {
    let text = text.into();
    let hash = hex(&Sha256::digest(text.as_bytes())[..6]);
    Asset { name: format!("{name}.{hash}.{ending}"), kind, text }
}

impl Assets {
    pub fn find(&self, name: &str) -> Option<&Asset> {
        [&self.style, &self.script, &self.timeline, &self.icon, &self.early]
            .into_iter()
            .find(|asset| asset.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_find_each_other() {
        let at = ASSETS.timeline.text.split(" from \"./").nth(1).and_then(|rest| rest.split('"').next());
        assert!(at.is_some_and(|name| ASSETS.find(name).is_some()), "{at:?}");
    }
}
