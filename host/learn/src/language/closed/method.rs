//! A method on language models as the method on a finite game that it is on a closed set.

use slhf_plan::{
    BestOfN, Egpo, GamePlayers, GameReward, GameRewards, GameTraining, Gradient, Grpo, GrpoKl, GrpoOnGames,
    InitialPolicy, Inpo, KlGradient, LanguageMethod, LanguageTraining, Method, Mnpo, MnpoOnGames, NashMd,
    NashMdOnGames, NoInstruction, NoRegression, Omwu, OnlineDpo, OnlineIpo, Optimizer, PairDistribution,
    Preconditioner, Rloo, SelfRefinement, Sft, Sppo, StackelbergGda, Temperatures,
};

/// The same method on a game; `None`: games do not have it, or it learns from the responses of a file. `scores` are a reward plugin's of the answers,
/// where the method has one.
pub(super) fn on_a_game(method: &LanguageMethod, gradient: Gradient, scores: Option<Vec<f64>>) -> Option<Method> {
    let training = training(method.training(), gradient);
    let rewards = GameRewards {
        reward: match (scores, method.reward_model()) {
            (Some(scores), _) => GameReward::Scores { scores },
            // All pairs of the set, equally often.
            (None, Some(_)) => GameReward::BradleyTerry { pairs: PairDistribution::Uniform },
            (None, None) => GameReward::Verdicts,
        },
    };
    Some(match method {
        LanguageMethod::StackelbergGda(_) => {
            Method::StackelbergGda(StackelbergGda { players: GamePlayers::default(), training })
        }
        LanguageMethod::NashMd(own) => {
            Method::NashMd(NashMd { mixture_coef: own.mixture_coef, own: NashMdOnGames::default(), training })
        }
        LanguageMethod::Rloo(_) => Method::Rloo(Rloo { rewards, training }),
        LanguageMethod::Grpo(own) => Method::Grpo(Grpo {
            rewards,
            scale_rewards: own.scale_rewards,
            own: GrpoOnGames { kl_gradient: grpo_kl(own.training.kl_gradient) },
            epsilon: own.epsilon,
            epsilon_high: own.epsilon_high,
            num_iterations: own.num_iterations,
            training,
        }),
        LanguageMethod::OnlineDpo(own) => Method::OnlineDpo(OnlineDpo { labels: own.labels, training }),
        LanguageMethod::OnlineIpo(own) => Method::OnlineIpo(OnlineIpo { labels: own.labels, training }),
        LanguageMethod::Inpo(own) => {
            Method::Inpo(Inpo { eta: own.eta, num_iterations: own.num_iterations, labels: own.labels, training })
        }
        LanguageMethod::Egpo(_) => Method::Egpo(Egpo { step: NoRegression {}, training }),
        LanguageMethod::Omwu(_) => Method::Omwu(Omwu { step: NoRegression {}, training }),
        LanguageMethod::Mnpo(own) => {
            Method::Mnpo(Mnpo { eta: own.eta, opponents: own.opponents.clone(), own: MnpoOnGames {}, training })
        }
        LanguageMethod::Sppo(own) => Method::Sppo(Sppo { eta: own.eta, num_iterations: own.num_iterations, training }),
        LanguageMethod::Sft(own) => Method::Sft(Sft { labels: own.labels, training }),
        LanguageMethod::BestOfN(_) => Method::BestOfN(BestOfN { rewards, training }),
        LanguageMethod::SelfRefinement(own) => {
            Method::SelfRefinement(SelfRefinement { rounds: own.rounds, turn: NoInstruction {}, training })
        }
        LanguageMethod::Score(_) | LanguageMethod::Dpo(_) | LanguageMethod::Ipo(_) | LanguageMethod::SftChosen(_) => {
            return None;
        }
    })
}

/// An answer of a closed set is one action: by k3 as GRPO's one token, else by the exact divergence.
fn grpo_kl(gradient: KlGradient) -> GrpoKl {
    match gradient {
        KlGradient::DifferentiatedK3 => GrpoKl::DifferentiatedK3,
        _ => GrpoKl::RewardToGo,
    }
}

fn training(own: &LanguageTraining, gradient: Gradient) -> GameTraining {
    GameTraining {
        steps: own.steps,
        gradient,
        // The network's own optimizer takes the gradient in the logits further.
        preconditioner: Preconditioner::None,
        optimizer: Optimizer::Sgd,
        num_generations: own.num_generations,
        score_baseline: own.score_baseline.clone(),
        initial: InitialPolicy { logit_scale: 0.0 },
        reference: None,
    }
}

/// `τ_L` and the temperature of the Nash and RLHF solutions are β, `τ_F` is the Follower's β (without a Follower: β).
pub(super) fn temperatures(method: &LanguageMethod) -> Temperatures {
    let beta = method.training().beta;
    let tau_follower = match method {
        LanguageMethod::StackelbergGda(game) => game.players.follower_beta,
        _ => beta,
    };
    // A method without a β has no RLHF solution to be compared with; a game wants a temperature of it all the same.
    let tau_rlhf = if beta > 0.0 { beta } else { 1.0 };
    Temperatures { tau_leader: beta, tau_follower, tau_nash: beta, tau_rlhf }
}
