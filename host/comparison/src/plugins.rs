//! Plugins of runs and of commands: where they are now, and whether they are the same.

use slhf_experiment::named_plugin;
use slhf_plan::PluginPlan;
use slhf_report::escape::line;

use crate::error::ComparisonError;
use crate::say::Say;

/// The plugin where the run found it, else the shipped one of its name; said where it is not the file of the runs.
pub fn present(plan: &PluginPlan, say: Say<'_>) -> Result<PluginPlan, ComparisonError> {
    let mut plan = plan.clone();
    if !std::path::Path::new(&plan.path).is_file() {
        let path = named_plugin::path(&plan.name)?;
        plan.path = path.display().to_string();
    }
    let found = sha256(&plan.path)?;
    if found != plan.sha256 {
        say(format!(
            "note: the judge '{}' is not the file that the runs were judged by, but {}",
            line(&plan.name),
            line(&plan.path)
        ));
        plan.sha256 = found;
    }
    plan.upstream = plan.upstream.as_deref().map(|inner| present(inner, say)).transpose()?.map(Box::new);
    Ok(plan)
}

pub(crate) fn sha256(path: &str) -> Result<String, ComparisonError> {
    let found = slhf_files::digest_file(path.as_ref());
    Ok(found.map_err(|cause| ComparisonError::PluginFile { path: path.to_owned(), cause })?.sha256)
}

/// `outer over inner`, as people name it.
pub fn chain(plan: &PluginPlan) -> String {
    match &plan.upstream {
        Some(inner) => format!("{} over {}", plan.name, chain(inner)),
        None => plan.name.clone(),
    }
}

/// The same file with the same parameters and models; limits decide nothing, nor does where a model lies.
pub(crate) fn is_same(asked: &PluginPlan, trained: &PluginPlan) -> bool {
    let upstream = match (&asked.upstream, &trained.upstream) {
        (Some(asked), Some(trained)) => is_same(asked, trained),
        (asked, trained) => asked.is_none() && trained.is_none(),
    };
    let models = |plan: &PluginPlan| -> Vec<(String, String)> {
        plan.models.iter().map(|(name, model)| (name.clone(), model.identity())).collect()
    };
    upstream
        && asked.parameters == trained.parameters
        && asked.sha256 == trained.sha256
        && models(asked) == models(trained)
}
