//! Plugins that are built anew when their sources are saved, one after the other, and put where a
//! host finds them. It must not know of hosts.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::sources::Sources;
use crate::artifacts;
use crate::owned_process::OwnedProcess;

/// How long a build may take to end when it is asked to; cargo ends at once.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A plugin, and how it comes to a host.
pub(super) struct Recipe {
    /// What it is called.
    pub(super) name: String,
    /// What it is made of.
    pub(super) sources: Vec<PathBuf>,
    /// Builds it.
    pub(super) build: Box<dyn Fn() -> Command>,
    /// Where the build leaves it.
    pub(super) built: PathBuf,
    /// Where it is to lie.
    pub(super) place: PathBuf,
}

/// What is worth telling.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Sources were saved, and the plugin of that name is being built.
    Building(String),
    /// It was put where the host finds it.
    Placed(String),
    /// It was built, and is the same as before.
    Same(String),
    /// It was not built; the compiler has said why.
    Failed(String),
}

/// The plugins, and the one build at a time.
pub(super) struct Rebuild {
    plugins: Vec<(Recipe, Sources)>,
    /// Those that wait, each at most once.
    waiting: VecDeque<usize>,
    building: Option<(usize, OwnedProcess)>,
}

impl Rebuild {
    pub(super) fn new(recipes: Vec<Recipe>) -> Self {
        let watched = |recipe: Recipe| (Sources::new(recipe.sources.clone()), recipe);
        let plugins = recipes.into_iter().map(watched).map(|(sources, recipe)| (recipe, sources)).collect();
        Self { plugins, waiting: VecDeque::new(), building: None }
    }

    /// Looks at sources and at the build; to be called several times a second.
    pub(super) fn go_on(&mut self, now: Instant) -> Result<Vec<Progress>> {
        for (index, (_, sources)) in self.plugins.iter_mut().enumerate() {
            // What changes while it is being built is built once more.
            if sources.have_changed(now) && !self.waiting.contains(&index) {
                self.waiting.push_back(index);
            }
        }
        let mut told = Vec::new();
        if let Some((index, build)) = &mut self.building
            && let Some(status) = build.exit_status()?
        {
            let recipe = &self.plugins[*index].0;
            told.push(if status.success() { placed(recipe)? } else { Progress::Failed(recipe.name.clone()) });
            self.building = None;
        }
        if self.building.is_none()
            && let Some(index) = self.waiting.pop_front()
        {
            let recipe = &self.plugins[index].0;
            self.building = Some((index, OwnedProcess::spawn("the build", &mut (recipe.build)())?));
            told.push(Progress::Building(recipe.name.clone()));
        }
        Ok(told)
    }

    /// Lets a build that is under way end, so that it leaves its compilers no orphans.
    pub(super) fn end(mut self) -> Result<()> {
        if let Some((_, build)) = &mut self.building {
            build.terminate()?;
            build.wait(END_PATIENCE)?;
        }
        Ok(())
    }
}

fn placed(recipe: &Recipe) -> Result<Progress> {
    let is_new = artifacts::place(&recipe.built, &recipe.place)?;
    Ok(if is_new { Progress::Placed(recipe.name.clone()) } else { Progress::Same(recipe.name.clone()) })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{Progress, Rebuild, Recipe};
    use crate::poll::{self, PATIENCE};

    /// A plugin whose build copies its one source, unless that says `broken`.
    fn recipe(home: &Path, name: &str) -> Recipe {
        let source = home.join(name).with_extension("rs");
        fs::write(&source, "first").unwrap();
        let (built, copied) = (home.join(name).with_extension("built"), source.clone());
        let (target, place) = (built.clone(), home.join("plugins").join(name).with_extension("wasm"));
        let build = move || {
            let mut command = Command::new("sh");
            let copy = r#"grep -q broken "$0" && exit 1; cp "$0" "$1""#;
            command.args(["-c", copy]).arg(&copied).arg(&target);
            command
        };
        Recipe { name: name.to_owned(), sources: vec![source], build: Box::new(build), built, place }
    }

    struct Watched {
        rebuild: Rebuild,
        now: Instant,
    }

    impl Watched {
        fn start(recipes: Vec<Recipe>) -> Self {
            Self { rebuild: Rebuild::new(recipes), now: Instant::now() }
        }

        /// All that is told until so much was; a second passes with each look.
        fn told(&mut self, count: usize) -> Vec<Progress> {
            let mut told = Vec::new();
            let enough = poll::until(PATIENCE, || {
                self.now += Duration::from_secs(1);
                told.extend(self.rebuild.go_on(self.now)?);
                Ok((told.len() >= count).then_some(()))
            });
            assert!(enough.unwrap().is_some(), "{told:?}");
            told
        }
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_is_saved_is_built_and_placed() {
        let home = tempfile::tempdir().unwrap();
        let one = recipe(home.path(), "one");
        let place = one.place.clone();
        let mut watched = Watched::start(vec![one]);
        let name = || "one".to_owned();

        fs::write(home.path().join("one.rs"), "second version").unwrap();
        assert_eq!(watched.told(2), [Progress::Building(name()), Progress::Placed(name())]);
        assert_eq!(text(&place), "second version");
        // Saved without a change that reaches the code.
        fs::write(home.path().join("one.rs"), "broken").unwrap();
        assert_eq!(watched.told(2), [Progress::Building(name()), Progress::Failed(name())]);
        assert_eq!(text(&place), "second version", "a failed build leaves all as it is");
        fs::write(home.path().join("one.rs"), "second version").unwrap();
        assert_eq!(watched.told(2), [Progress::Building(name()), Progress::Same(name())]);
        watched.rebuild.end().unwrap();
    }

    #[test]
    fn one_is_built_after_the_other() {
        let home = tempfile::tempdir().unwrap();
        let shared = home.path().join("shared.rs");
        let recipes = ["one", "two"].map(|name| {
            let recipe = recipe(home.path(), name);
            Recipe { sources: vec![shared.clone()], ..recipe }
        });
        let mut watched = Watched::start(recipes.into());

        fs::write(&shared, "saved").unwrap();
        let told = watched.told(4);
        let [one, two] = ["one", "two"].map(str::to_owned);
        assert_eq!(told[0], Progress::Building(one.clone()));
        assert_eq!(told[1..3], [Progress::Placed(one), Progress::Building(two.clone())]);
        assert_eq!(told[3], Progress::Placed(two));
    }

    #[test]
    fn a_build_that_is_not_over_is_ended() {
        let home = tempfile::tempdir().unwrap();
        let mut one = recipe(home.path(), "one");
        one.build = Box::new(|| {
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        });
        let mut watched = Watched::start(vec![one]);
        fs::write(home.path().join("one.rs"), "second version").unwrap();
        assert_eq!(watched.told(1), [Progress::Building("one".to_owned())]);
        let begun = Instant::now();
        watched.rebuild.end().unwrap();
        assert!(begun.elapsed() < super::END_PATIENCE);
    }
}
