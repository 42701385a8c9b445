//! Figures as JSON lines: one object per measurement, so that a script can read what a run prints.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::crowd::{consumers, groups, percentiles};
use crate::{drain, load};

/// Percentiles in milliseconds.
pub fn latency(histogram: &Histogram<u64>) -> Value {
    let ms = |quantile: f64| round(histogram.value_at_quantile(quantile) as f64 / 1e6, 4);
    json!({
        "p50_ms": ms(0.5), "p90_ms": ms(0.9), "p99_ms": ms(0.99), "p999_ms": ms(0.999),
        "max_ms": round(histogram.max() as f64 / 1e6, 4), "count": histogram.len(),
    })
}

/// A produce run.
pub fn load(outcome: &load::Outcome) -> Value {
    json!({
        "seconds": round(outcome.seconds, 3),
        "records": outcome.records,
        "requests": outcome.requests,
        "payload_bytes": outcome.payload_bytes,
        "mb_per_s": round(outcome.payload_bytes as f64 / 1e6 / outcome.seconds, 1),
        "generator_cpu_s": round(outcome.own_cpu_seconds, 2),
        "latency": latency(&outcome.latency_ns),
    })
}

/// A drain.
pub fn drain(outcome: &drain::Outcome) -> Value {
    json!({
        "seconds": round(outcome.seconds, 3),
        "records": outcome.records,
        "requests": outcome.requests,
        "bytes": outcome.bytes,
        "mb_per_s": round(outcome.bytes as f64 / 1e6 / outcome.seconds, 1),
        "generator_cpu_s": round(outcome.own_cpu_seconds, 2),
    })
}

/// A rebalance of many groups.
pub fn rebalanced(outcome: &groups::Rebalanced) -> Value {
    let spread = |values: &[f64]| {
        let [p50, p99, most] = percentiles(values.to_vec()).map(|value| round(value, 4));
        json!({"p50_s": p50, "p99_s": p99, "max_s": most})
    };
    json!({
        "all_s": round(outcome.all_s, 4),
        "per_group": spread(&outcome.whole_s),
        "brokers_part": spread(&outcome.broker_s),
    })
}

/// Many consumers at the tail.
pub fn consumers(outcome: &consumers::Outcome) -> Value {
    json!({
        "seconds": round(outcome.seconds, 3),
        "deliveries": outcome.deliveries,
        "fetches": outcome.fetches,
        "generator_cpu_s": round(outcome.own_cpu_seconds, 2),
        "latency": latency(&outcome.latency_ns),
    })
}

/// Rounds to `digits` behind the point: figures nobody can measure are not printed.
pub fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
