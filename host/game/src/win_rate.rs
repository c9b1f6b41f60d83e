//! Win rates of policies: what trainers report next to the gaps. All are probabilities in [0, 1]
//! of the matrix as given (not symmetrised); policies are log-probabilities.

use crate::numeric::{dot, exponentials, minimum};
use crate::preference::PreferenceMatrix;

impl PreferenceMatrix {
    /// `Σ_ij π(i) π'(j) P[i][j]`: how often the first policy is preferred to the second.
    ///
    /// # Panics
    /// If a length does not fit the matrix.
    pub fn win_rate(&self, log_first: &[f64], log_second: &[f64]) -> f64 {
        self.check_policy(log_first);
        self.check_policy(log_second);
        let second = exponentials(log_second);
        let rows = self.rows().zip(log_first);
        rows.map(|(row, log_p)| log_p.exp() * dot(row, &second)).sum()
    }

    /// `min_j Σ_i π(i) P[i][j]`: against the opponent who knows the policy but not the action.
    ///
    /// # Panics
    /// If the length does not fit the matrix.
    pub fn worst_case_win_rate(&self, log_policy: &[f64]) -> f64 {
        self.check_policy(log_policy);
        let mut against = vec![0.0; self.actions()];
        for (row, log_p) in self.rows().zip(log_policy) {
            let probability = log_p.exp();
            for (sum, preference) in against.iter_mut().zip(row) {
                *sum += probability * preference;
            }
        }
        minimum(&against)
    }

    /// `Σ_i π(i) min_j P[i][j]`: against the opponent who sees the action. At most
    /// [`Self::worst_case_win_rate`].
    ///
    /// # Panics
    /// If the length does not fit the matrix.
    pub fn committed_value(&self, log_policy: &[f64]) -> f64 {
        self.check_policy(log_policy);
        let rows = self.rows().zip(log_policy);
        rows.map(|(row, log_p)| log_p.exp() * minimum(row)).sum()
    }

    /// `Σ_ij π(i) ω(j|i) P[j][i]`: how often the Follower's answer is preferred to what it answers.
    /// `log_omega` is row-major, row `i` the answer to `i`.
    ///
    /// # Panics
    /// If a length does not fit the matrix.
    pub fn follower_win_rate(&self, log_policy: &[f64], log_omega: &[f64]) -> f64 {
        self.check_policy(log_policy);
        let n = self.actions();
        assert_eq!(log_omega.len(), n * n, "one response per action");
        let mut rate = 0.0;
        for (action, (log_p, log_answer)) in log_policy.iter().zip(log_omega.chunks_exact(n)).enumerate() {
            let answers = log_answer.iter().enumerate();
            let won: f64 = answers.map(|(answer, log_q)| log_q.exp() * self.get(answer, action)).sum();
            rate += log_p.exp() * won;
        }
        rate
    }

    fn check_policy(&self, log_policy: &[f64]) {
        assert_eq!(log_policy.len(), self.actions(), "one log-probability an action");
    }
}
