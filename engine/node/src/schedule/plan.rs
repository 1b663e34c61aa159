//! When a workflow is due: the `schedule` of its definition, made computable.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};
use potok_dsl::{
    Period, Timestamp,
    model::{CatchUp, Duration, Overlap, Workflow},
};
use potok_expr::{Evaluator, Expression, ExpressionError};
use serde_json::{Map, Value};

/// What a workflow's schedule says.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When it is due.
    pub rhythm: Rhythm,
    /// What happens when it is due while the run before still goes on.
    pub overlap: Overlap,
    /// What happens with times that passed while no node was up.
    pub catch_up: CatchUp,
}

/// When a workflow is due.
#[derive(Debug, Clone)]
pub enum Rhythm {
    /// At the times that a cron expression names in a time zone.
    Cron(Box<Cron>, Tz),
    /// Once in each interval.
    Every(Period),
    /// So long after the run before has ended; the first time at once.
    After(Period),
}

/// A schedule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The cron expression is wrong.
    #[error("the cron expression '{0}' is not valid: {1}")]
    Cron(String, String),
    /// There is no such time zone.
    #[error("there is no time zone '{0}'; use an IANA name such as Europe/Moscow")]
    Zone(String),
    /// The interval is zero.
    #[error("a schedule needs an interval of at least a millisecond")]
    Interval,
    /// The interval is an expression that fails.
    #[error("the interval of a schedule: {0}")]
    Expression(#[from] ExpressionError),
    /// The interval is an expression that asks for what is not known before a run.
    #[error("the interval of a schedule is known before any run: ${0} does not exist there")]
    Variable(String),
    /// The interval is an expression that gives something else.
    #[error("the interval of a schedule: {0}")]
    NoDuration(String),
}

impl Plan {
    /// The plans of a workflow: one for each of `cron`, `every`, `after` that its schedule has.
    ///
    /// # Errors
    /// [`PlanError`] when one of them cannot be followed.
    pub fn of(workflow: &Workflow, evaluator: &Evaluator) -> Result<Vec<(&'static str, Self)>, PlanError> {
        let Some(schedule) = &workflow.schedule else {
            return Ok(Vec::new());
        };
        let potok = workflow
            .document
            .potok
            .schedule
            .as_ref()
            .map(|s| s.value.clone())
            .unwrap_or_default();
        let catch_up = potok.catch_up.unwrap_or(CatchUp::Latest);
        let plan = |rhythm, overlap| Self {
            rhythm,
            overlap: potok.overlap.unwrap_or(overlap),
            catch_up,
        };
        let mut plans = Vec::new();
        if let Some(cron) = &schedule.cron {
            let zone = match &potok.timezone {
                Some(name) => Tz::from_str(&name.value).map_err(|_| PlanError::Zone(name.value.clone()))?,
                None => Tz::UTC,
            };
            let parsed = CronParser::builder()
                .seconds(Seconds::Optional)
                .build()
                .parse(&cron.value)
                .map_err(|e| PlanError::Cron(cron.value.clone(), e.to_string()))?;
            plans.push(("cron", plan(Rhythm::Cron(Box::new(parsed), zone), Overlap::Skip)));
        }
        if let Some(every) = &schedule.every {
            plans.push((
                "every",
                plan(Rhythm::Every(interval(&every.value, evaluator)?), Overlap::Allow),
            ));
        }
        if let Some(after) = &schedule.after {
            plans.push((
                "after",
                plan(Rhythm::After(interval(&after.value, evaluator)?), Overlap::Skip),
            ));
        }
        Ok(plans)
    }

    /// When it is due for the first time, deployed at that moment.
    #[must_use]
    pub fn first(&self, deployed: Timestamp) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::After(_) => Some(deployed),
            _ => self.next(deployed),
        }
    }

    /// When it is due next after a time at which it was due. `None`: never, or not before the run has ended.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::Every(interval) => Some(after.after_period(*interval)),
            Rhythm::After(_) => None,
            Rhythm::Cron(cron, zone) => {
                let from = DateTime::<Utc>::from_timestamp_millis(after.0)?.with_timezone(zone);
                let next = cron.find_next_occurrence(&from, false).ok()?;
                Some(Timestamp(next.timestamp_millis()))
            }
        }
    }

    /// When it is due next after a run that ended then, if that is what decides.
    #[must_use]
    pub fn after_end(&self, ended: Timestamp) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::After(delay) => Some(ended.after_period(*delay)),
            _ => None,
        }
    }
}

/// How long an interval is. An expression is evaluated when the workflow is deployed: it sees an empty object and no variables.
fn interval(duration: &Duration, evaluator: &Evaluator) -> Result<Period, PlanError> {
    let period = match duration {
        Duration::Fixed { .. } => duration.period().unwrap_or_default(),
        Duration::Expression(text) => {
            let expression = Expression::parse(text, evaluator)?;
            if let Some(name) = expression.variables().first() {
                return Err(PlanError::Variable(name.clone()));
            }
            let value = expression.eval(evaluator, &Value::Object(Map::new()), &())?;
            Duration::from_value(&value).map_err(|error| PlanError::NoDuration(error.to_string()))?
        }
    };
    if period == Period::default() {
        Err(PlanError::Interval)
    } else {
        Ok(period)
    }
}
