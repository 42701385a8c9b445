//! Prometheus's text format (version 0.0.4), written from the declared table.
//!
//! Invariant: a metric is written once, with all its samples, and its labels are those declared;
//! [`Exposition::finish`] asserts that none is left out.

use super::table::{METRICS, Metric, Type};
use super::{BUCKETS_NS, Histogram};
use std::fmt::Write;

/// What the format is called in HTTP.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Default)]
pub(crate) struct Exposition {
    text: String,
    written: usize,
}

impl Exposition {
    /// A metric without labels.
    pub(crate) fn one(&mut self, metric: &Metric, value: f64) {
        self.many(metric, [(&[] as &[&str], value)]);
    }

    /// A metric with the values of its labels.
    pub(crate) fn many<L: AsRef<[S]>, S: AsRef<str>>(
        &mut self,
        metric: &Metric,
        samples: impl IntoIterator<Item = (L, f64)>,
    ) {
        self.head(metric);
        for (labels, value) in samples {
            let labels = label_text(metric, labels.as_ref());
            let _ = writeln!(self.text, "{}{} {}", metric.name, braced(&labels), number(value));
        }
    }

    /// A histogram by one label.
    pub(crate) fn histograms<'a>(
        &mut self,
        metric: &Metric,
        all: impl IntoIterator<Item = (String, &'a Histogram)>,
    ) {
        assert_eq!(metric.kind, Type::Histogram, "{}", metric.name);
        self.head(metric);
        let name = metric.name;
        for (label, histogram) in all {
            let (counts, sum_ns) = histogram.cumulative();
            let labels = label_text(metric, &[label]);
            for (bound_ns, count) in BUCKETS_NS.iter().zip(counts) {
                let bound = number(*bound_ns as f64 / 1e9);
                let _ = writeln!(self.text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let all = counts[BUCKETS_NS.len()];
            let _ = writeln!(self.text, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}");
            let _ = writeln!(self.text, "{name}_sum{{{labels}}} {}", number(sum_ns as f64 / 1e9));
            let _ = writeln!(self.text, "{name}_count{{{labels}}} {all}");
        }
    }

    fn head(&mut self, metric: &Metric) {
        assert_eq!(METRICS.get(self.written), Some(metric), "metrics are written in their order");
        self.written += 1;
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {} {help}", metric.name);
        let _ = writeln!(self.text, "# TYPE {} {}", metric.name, metric.kind.text());
    }

    /// The whole page.
    pub(crate) fn finish(self) -> String {
        assert_eq!(self.written, METRICS.len(), "every metric is written");
        self.text
    }
}

fn label_text<S: AsRef<str>>(metric: &Metric, values: &[S]) -> String {
    assert_eq!(metric.labels.len(), values.len(), "{}: labels as declared", metric.name);
    let pair = |(name, value): (&&str, &S)| {
        let value = value.as_ref().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    metric.labels.iter().zip(values).map(pair).collect::<Vec<_>>().join(",")
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// Whole numbers without a fraction, as people expect of counters.
fn number(value: f64) -> String {
    format!("{value}")
}
