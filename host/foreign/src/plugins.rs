//! Plugins are compiled and described in the other process; whoever uses one finds it in the cache.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use slhf_judge::{Compilation, DescribeRequest, Elsewhere, Host, HostSettings, JudgeError};
use slhf_plan::{AsJson, PluginPlan};

use crate::ask::ask;
use crate::protocol::{DescriptionAnswer, Question, Tried};

/// A plugin host that compiles and describes in the other process.
pub fn host_settings() -> HostSettings {
    let ask = |request: &DescribeRequest| {
        let question = Question::Description { path: request.path.clone(), request: AsJson(request.clone()) };
        let answer = ask::<DescriptionAnswer>(&question).unwrap_or_else(|error| Err(slhf_words::chain(&error)));
        answer.map(|AsJson(description)| description)
    };
    HostSettings { compilation: Compilation::Elsewhere(Elsewhere::new(ask)), ..HostSettings::default() }
}

/// Compiles and describes the plugins of a plan in the other process: a worker finds them in the cache.
pub fn try_plugins(plans: &[&PluginPlan]) -> Tried {
    static HOST: Mutex<Option<Host>> = Mutex::new(None);
    let sentence = |error: JudgeError| slhf_words::chain(&error);
    let mut known = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let host = match known.as_ref() {
        Some(host) => host,
        None => known.insert(Host::new(host_settings()).map_err(sentence)?),
    };
    for plan in plans {
        let mut next = Some(*plan);
        while let Some(plan) = next {
            host.describe(&plan.name, Path::new(&plan.path), &plan.limits).map_err(sentence)?;
            next = plan.upstream.as_deref();
        }
    }
    Ok(())
}
