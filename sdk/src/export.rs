//! The macros that export a plain Rust type as a component. Natively they only check that the type fits.

/// Exports a judge: `export_preference!(T)`, `export_preference!(T, over preference)`, `export_preference!(T, over reward)` or
/// `export_preference!(T, with models)`.
#[macro_export]
macro_rules! export_preference {
    ($judge:ty) => {
        $crate::export_preference!(@ $judge, $crate::PreferenceBatch, |judge, batch| {
            $crate::PreferenceBatch::compare_batch(judge, batch)
        });
    };
    ($judge:ty, over preference) => {
        $crate::export_preference!(@ $judge, $crate::PreferenceOver<dyn $crate::UpstreamPreference>, |judge, batch| {
            $crate::PreferenceOver::<dyn $crate::UpstreamPreference>::compare_over(judge, batch, &$crate::guest::HostPreference)
        });
    };
    ($judge:ty, over reward) => {
        $crate::export_preference!(@ $judge, $crate::PreferenceOver<dyn $crate::UpstreamReward>, |judge, batch| {
            $crate::PreferenceOver::<dyn $crate::UpstreamReward>::compare_over(judge, batch, &$crate::guest::HostReward)
        });
    };
    ($judge:ty, with models) => {
        $crate::export_preference!(@ $judge, $crate::PreferenceWith<dyn $crate::models::Models>, |judge, batch| {
            $crate::PreferenceWith::<dyn $crate::models::Models>::compare_with(judge, batch, &$crate::guest::HostModels)
        });
    };
    (@ $plugin:ty, $needs:path, |$judge:ident, $batch:ident| $compare:expr) => {
        const _: () = {
            const fn fits<T: $needs>() {}
            fits::<$plugin>();
        };
        $crate::export_world!(preference, export_preference_world, $plugin, {
            impl exports::preference::Guest for Exported {
                fn compare(
                    batch: Vec<types::Comparison>,
                ) -> Result<Vec<Result<types::Verdict, types::Failure>>, types::Failure> {
                    let $batch = &$crate::guest::from_host(batch)[..];
                    $crate::guest::outcomes(with_plugin(|$judge| $compare))
                }
            }
        });
    };
}

/// Exports a reward model: `export_reward!(T)`, `export_reward!(T, over preference)`, `export_reward!(T, over reward)` or
/// `export_reward!(T, with models)`.
#[macro_export]
macro_rules! export_reward {
    ($reward:ty) => {
        $crate::export_reward!(@ $reward, $crate::RewardBatch, |reward, batch| {
            $crate::RewardBatch::score_batch(reward, batch)
        });
    };
    ($reward:ty, over preference) => {
        $crate::export_reward!(@ $reward, $crate::RewardOver<dyn $crate::UpstreamPreference>, |reward, batch| {
            $crate::RewardOver::<dyn $crate::UpstreamPreference>::score_over(reward, batch, &$crate::guest::HostPreference)
        });
    };
    ($reward:ty, over reward) => {
        $crate::export_reward!(@ $reward, $crate::RewardOver<dyn $crate::UpstreamReward>, |reward, batch| {
            $crate::RewardOver::<dyn $crate::UpstreamReward>::score_over(reward, batch, &$crate::guest::HostReward)
        });
    };
    ($reward:ty, with models) => {
        $crate::export_reward!(@ $reward, $crate::RewardWith<dyn $crate::models::Models>, |reward, batch| {
            $crate::RewardWith::<dyn $crate::models::Models>::score_with(reward, batch, &$crate::guest::HostModels)
        });
    };
    (@ $plugin:ty, $needs:path, |$reward:ident, $batch:ident| $score:expr) => {
        const _: () = {
            const fn fits<T: $needs>() {}
            fits::<$plugin>();
        };
        $crate::export_world!(reward, export_reward_world, $plugin, {
            impl exports::reward::Guest for Exported {
                fn score(
                    batch: Vec<types::Candidate>,
                ) -> Result<Vec<Result<types::Score, types::Failure>>, types::Failure> {
                    let $batch = &$crate::guest::from_host(batch)[..];
                    $crate::guest::outcomes(with_plugin(|$reward| $score))
                }
            }
        });
    };
}

/// Exports a control variate: `export_baseline!(T)`.
#[macro_export]
macro_rules! export_baseline {
    ($plugin:ty) => {
        const _: () = {
            const fn fits<T: $crate::Baseline>() {}
            fits::<$plugin>();
        };
        $crate::export_world!(baseline, export_baseline_world, $plugin, {
            impl exports::baseline::Guest for Exported {
                fn estimate(batch: Vec<exports::baseline::Sample>) -> Result<Vec<f64>, types::Failure> {
                    let batch = &$crate::guest::from_host(batch)[..];
                    with_plugin(|plugin| $crate::Baseline::estimate(plugin, batch)).map_err(Into::into)
                }

                fn save() -> Vec<u8> {
                    // The host configures a plugin before it asks for anything; a plugin that was not has no state.
                    with_plugin(|plugin| Ok($crate::Baseline::save(plugin))).unwrap_or_default()
                }

                fn restore(state: Vec<u8>) -> Result<(), types::Failure> {
                    with_plugin(|plugin| $crate::Baseline::restore(plugin, &state)).map_err(Into::into)
                }
            }
        });
    };
}

/// What the three exports share: identity, parameters, and the one instance. Nothing of it exists natively.
#[doc(hidden)]
#[macro_export]
macro_rules! export_world {
    ($world:ident, $export:ident, $plugin:ty, { $($exports:item)* }) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::guest::bindings::$world::exports::slhf::lab as exports;
            use $crate::guest::types;

            struct Exported;

            ::std::thread_local! {
                static PLUGIN: ::core::cell::RefCell<Option<$plugin>> = const { ::core::cell::RefCell::new(None) };
            }

            fn with_plugin<T>(
                work: impl FnOnce(&mut $plugin) -> Result<T, $crate::Failure>,
            ) -> Result<T, $crate::Failure> {
                PLUGIN.with_borrow_mut(|plugin| match plugin {
                    Some(plugin) => work(plugin),
                    None => Err($crate::Failure::new("configure was not called")),
                })
            }

            impl exports::plugin::Guest for Exported {
                fn describe() -> exports::plugin::Manifest {
                    $crate::guest::install_panic_hook();
                    let manifest = <$plugin as $crate::Plugin>::manifest();
                    exports::plugin::Manifest {
                        name: manifest.name,
                        version: manifest.version,
                        measures: manifest.measures,
                        claims: exports::plugin::Claims {
                            complementary: manifest.claims.complementary,
                            length_sensitive: manifest.claims.length_sensitive,
                        },
                        parameters_schema: $crate::parameters::schema_with_models::<<$plugin as $crate::Plugin>::Parameters>(&manifest.models),
                    }
                }

                fn configure(parameters: String) -> Result<(), types::Failure> {
                    $crate::guest::install_panic_hook();
                    // A baseline lives for a whole run and sees small batches.
                    if !::core::matches!(stringify!($world).as_bytes(), b"baseline") {
                        $crate::guest::reserve_memory();
                    }
                    let plugin = $crate::parameters::read(&parameters).and_then(<$plugin as $crate::Plugin>::new)?;
                    PLUGIN.set(Some(plugin));
                    Ok(())
                }
            }

            $($exports)*

            $crate::guest::bindings::$world::$export!(Exported with_types_in $crate::guest::bindings::$world);
        };
    };
}
