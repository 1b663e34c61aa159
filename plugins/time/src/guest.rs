//! The plugin's face: WIT types on one side, this crate's on the other.

use exports::potok::time::time::{CalendarDay, DayRequest, Guest, Moment, NextRequest};
use potok::host::fault::Fault;

use crate::Invalid;

wit_bindgen::generate!({ path: "../wit", world: "potok:plugins/time", generate_all });
potok_guest::describe!("../../wit/deps/time.wit", "../../wit/deps/host.wit");

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn next(request: NextRequest) -> Result<Moment, Fault> {
        let crate::Moment { at, wait } = crate::next(&request.schedule, request.timezone.as_deref(), &request.after)?;
        Ok(Moment { at, wait })
    }

    fn day(request: DayRequest) -> Result<CalendarDay, Fault> {
        let crate::Day { date, begins, ends } =
            crate::day(request.timezone.as_deref(), &request.at, request.ago.unwrap_or(0))?;
        Ok(CalendarDay { date, begins, ends })
    }
}

impl From<Invalid> for Fault {
    fn from(invalid: Invalid) -> Self {
        Self {
            kind: "urn:potok:time:invalid".to_owned(),
            status: 400,
            title: "There is no such time".to_owned(),
            detail: Some(invalid.0),
            retry_after_ms: None,
            data: None,
        }
    }
}
