//! Makes miss-ratio curves of what the simulations have counted. Pure.

use crate::tuning::advising::size_bytes;
use crate::tuning::window::{ClassWindow, SIZES};
use crate::tuning::{CurvePoint, MissRatioCurve};

/// The counts of which a curve is made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counted {
    reads: f64,
    misses: [f64; SIZES.len()],
    unavoidable: f64,
    samples: f64,
}

impl Counted {
    /// The counts of a class with so many hits and so many values offered to memory: its real misses, times what a
    /// simulation misses for each real miss of the sample. `None` if there is none in the sample.
    pub(crate) fn new(window: &ClassWindow, (hits, offers): (f64, f64)) -> Option<Counted> {
        let real = |count: f64| (offers * count / window.fills).min(hits + offers);
        (window.fills >= 1.0).then(|| Counted {
            reads: hits + offers,
            misses: window.misses.map(real),
            unavoidable: real(window.unavoidable),
            samples: window.reads,
        })
    }

    fn plus(self, other: &Counted) -> Counted {
        Counted {
            reads: self.reads + other.reads,
            misses: std::array::from_fn(|size| self.misses[size] + other.misses[size]),
            unavoidable: self.unavoidable + other.unavoidable,
            samples: self.samples + other.samples,
        }
    }

    fn curve(self, class: Option<String>, budget: u64) -> MissRatioCurve {
        let point = |size| CurvePoint {
            memory_bytes: size_bytes(budget, size),
            miss_ratio: self.misses[size] / self.reads,
        };
        let points = (0..SIZES.len()).map(point).collect();
        let (unavoidable, samples) = (self.unavoidable / self.reads, self.samples as u64);
        MissRatioCurve { class, points, unavoidable, samples }
    }
}

/// The curve of all classes, and then that of each; none if no class was counted.
pub(crate) fn of_all(classes: Vec<(String, Counted)>, budget: u64) -> Vec<MissRatioCurve> {
    let all = classes.iter().fold(Counted::default(), |sum, (_, counted)| sum.plus(counted));
    let all = (!classes.is_empty()).then(|| all.curve(None, budget));
    all.into_iter()
        .chain(classes.into_iter().map(|(name, counted)| counted.curve(Some(name), budget)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_the_real_miss_ratio_times_the_simulated_misses() {
        let window = ClassWindow {
            fills: 10.0,
            misses: [20.0; 10],
            unavoidable: 5.0,
            reads: 60.0,
            ..Default::default()
        };
        let counted = Counted::new(&window, (900.0, 100.0)).unwrap();
        let [all, class] = of_all(vec![("values".to_owned(), counted)], 8 << 20).try_into().unwrap();
        assert_eq!((all.class.as_deref(), class.class.as_deref()), (None, Some("values")));
        assert_eq!(class.points[0], CurvePoint { memory_bytes: 1 << 20, miss_ratio: 0.2 });
        assert_eq!((class.unavoidable, class.samples, all.points == class.points), (0.05, 60, true));
        assert!(Counted::new(&ClassWindow::default(), (900.0, 0.0)).is_none());
        assert!(of_all(Vec::new(), 8 << 20).is_empty());
    }
}
