//! Training as burn's `Learner` reports it, shown as a bar while an epoch lasts and as one plain line after it.

use std::io::{Write, stdout};
use std::time::Instant;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use indicatif::{ProgressBar, ProgressStyle};

/// The loss is the one metric of the training images, the accuracy that of the test images. What the `Learner` reports last
/// in an epoch is their mean.
pub struct Progress {
    bar: ProgressBar,
    start: Instant,
    seconds: f32,
    loss: f64,
    accuracy: f64,
}

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        let bar = match ProgressStyle::with_template("{bar:40} {pos}/{len} images, {msg}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        Self { bar, start: Instant::now(), seconds: 0.0, loss: 0.0, accuracy: 0.0 }
    }
}

impl MetricsRendererTraining for Progress {
    fn update_train(&mut self, state: MetricState) {
        if let MetricState::Numeric(_, Some(loss)) = state {
            self.loss = loss.current();
            self.bar.set_message(format!("loss {:.3}", self.loss));
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let MetricState::Numeric(_, Some(accuracy)) = state {
            self.accuracy = accuracy.current();
        }
    }
}

impl TrainingProgressLogger for Progress {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    /// The test images follow the training images, whose time it is that counts.
    fn start_split(&mut self, split: &str, images: usize) {
        match split {
            "train" => self.start = Instant::now(),
            _ => self.seconds = self.start.elapsed().as_secs_f32(),
        }
        self.bar.reset();
        self.bar.set_length(images as u64);
    }

    fn update_split(&mut self, images: usize) {
        self.bar.set_position(images as u64);
    }

    fn end_split(&mut self) {}

    fn update_epoch(&mut self, epoch: usize) {
        let Self { loss, accuracy, seconds, .. } = self;
        self.bar.finish_and_clear();
        // Output that nobody reads is no reason to stop the training.
        let _ = writeln!(stdout(), "epoch {epoch:2}: loss {loss:.3}, test accuracy {accuracy:.1}%, {seconds:.1} s");
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRenderer for Progress {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, _: MetricDefinition) {}
}

/// There is no evaluation apart from training.
impl MetricsRendererEvaluation for Progress {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for Progress {
    fn start_global_progress(&mut self, _: usize) {}

    fn start_test(&mut self, _: &str, _: usize) {}

    fn update_test_progress(&mut self, _: usize) {}

    fn end_test(&mut self) {}

    fn end_global_progress(&mut self) {}

    fn log_event_evaluation(&mut self, _: String) {}
}
