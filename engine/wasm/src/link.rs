//! Capabilities: each function that a plugin imports becomes one that asks the provider in JSON.

use std::sync::Arc;

use potok_dsl::{ErrorType, Problem};
use serde_json::Value;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Val},
};

use crate::{
    fault,
    ledger::{Answered, Asked, Ledger, Turn},
    lift::Lift,
    lower::{self, Misfit},
    problem::Failed,
    provider::{CallContext, Provider},
    shape::{Returns, Shape, Signature},
    state::State,
};

/// A function that a plugin imports.
pub(crate) struct Imported {
    /// The interface without version, as the provider knows it: `potok:ai/chat`.
    pub(crate) interface: Arc<str>,
    /// The function's name in WIT.
    pub(crate) function: String,
    pub(crate) signature: Signature,
    pub(crate) provider: Arc<dyn Provider>,
}

/// Links the functions of one interface; `import` is its name with version, as the component has it.
pub(crate) fn link(linker: &mut Linker<State>, import: &str, functions: Vec<Imported>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(import)?;
    for function in functions {
        let function = Arc::new(function);
        let name = function.function.clone();
        instance.func_new_async(&name, move |store, _, args, results| {
            let function = function.clone();
            Box::new(async move { function.serve(store, args, results).await.map_err(|p| Failed(p).into()) })
        })?;
    }
    Ok(())
}

impl Imported {
    async fn serve(
        &self,
        mut store: StoreContextMut<'_, State>,
        args: &[Val],
        results: &mut [Val],
    ) -> Result<(), Problem> {
        let state = store.data_mut();
        let args = Lift::new(state.output_limit)
            .args(&self.signature.params, args)
            .map_err(|error| {
                let detail = format!("the plugin called {} with {error}", self.name());
                Problem::new(ErrorType::Runtime, "Capability call is not JSON", detail)
            })?;
        let cx = state.next_call();
        let answer = match state.ledger().filter(|_| !self.provider.pure()) {
            Some(ledger) => {
                let answered = self.kept(&*ledger, cx, args).await?;
                state.clock.move_to(answered.at);
                answered.outcome
            }
            None => self.provider.call(&cx, &self.interface, &self.function, args).await,
        };
        let value = self.answer(answer)?;
        if let (Some(slot), Some(value)) = (results.first_mut(), value) {
            *slot = value;
        }
        Ok(())
    }

    /// Answers from the ledger, or else makes the call and has the ledger keep what comes of it. An error ends the call of the plugin, which
    /// is not asked.
    async fn kept(&self, ledger: &dyn Ledger, mut cx: CallContext, args: Value) -> Result<Answered, Problem> {
        let asked = Asked {
            number: cx.sequence,
            interface: &self.interface,
            function: &self.function,
            args: &args,
        };
        match ledger.ask(asked).await? {
            Turn::Known(answered) => Ok(answered),
            Turn::Make(now) => {
                cx.now = now;
                let outcome = self.provider.call(&cx, &self.interface, &self.function, args).await;
                Ok(ledger.answer(outcome).await)
            }
        }
    }

    /// The answer as the function's result. A problem that the function's type cannot express is the step's.
    fn answer(&self, answer: Result<Value, Problem>) -> Result<Option<Val>, Problem> {
        let misfit = |misfit: Misfit| {
            let detail = format!(
                "the provider of {} answered what its type does not allow: {misfit}",
                self.name()
            );
            Problem::new(ErrorType::Runtime, "Provider's answer does not fit", detail)
        };
        match (&self.signature.returns, answer) {
            (Returns::Nothing, Ok(_)) => Ok(None),
            (Returns::Value(shape), Ok(json)) => lower::value(shape, json).map(Some).map_err(misfit),
            (Returns::Result { ok, .. }, Ok(json)) => {
                let value = ok
                    .as_ref()
                    .map(|shape| lower::value(shape, json))
                    .transpose()
                    .map_err(misfit)?;
                Ok(Some(Val::Result(Ok(value.map(Box::new)))))
            }
            (Returns::Result { err: Some(shape), .. }, Err(problem)) if fault::is_fault(shape) => {
                Ok(Some(failure(shape, &problem).map_err(misfit)?))
            }
            (_, Err(problem)) => Err(problem),
        }
    }

    fn name(&self) -> String {
        format!("{}.{}", self.interface, self.function)
    }
}

fn failure(shape: &Shape, problem: &Problem) -> Result<Val, Misfit> {
    Ok(Val::Result(Err(Some(Box::new(fault::from_problem(shape, problem)?)))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::shape::Named;

    struct Nobody;

    #[async_trait]
    impl Provider for Nobody {
        fn interfaces(&self) -> &[&'static str] {
            &[]
        }

        async fn call(&self, _: &CallContext, _: &str, _: &str, _: Value) -> Result<Value, Problem> {
            Ok(Value::Null)
        }
    }

    fn imported(returns: Returns) -> Imported {
        let signature = Signature {
            params: [].into(),
            returns,
        };
        Imported {
            interface: "a:b/c".into(),
            function: "ask".to_owned(),
            signature,
            provider: Arc::new(Nobody),
        }
    }

    fn fault_record() -> Shape {
        let text = |name| Named::new(name, Shape::Option(Box::new(Shape::String)));
        let mut fields = vec![Named::new("kind", Shape::String), Named::new("status", Shape::U16)];
        fields.extend([text("title"), text("detail"), text("data")]);
        fields.push(Named::new("retry-after-ms", Shape::Option(Box::new(Shape::U64))));
        Shape::Record(fields)
    }

    #[test]
    fn answers_take_the_form_of_the_functions_result() {
        assert_eq!(imported(Returns::Nothing).answer(Ok(json!(7))).unwrap(), None);
        assert_eq!(
            imported(Returns::Value(Shape::U8)).answer(Ok(json!(7))).unwrap(),
            Some(Val::U8(7))
        );
        let result = imported(Returns::Result {
            ok: Some(Shape::U8),
            err: Some(fault_record()),
        });
        assert_eq!(
            result.answer(Ok(json!(7))).unwrap(),
            Some(Val::Result(Ok(Some(Box::new(Val::U8(7))))))
        );
        let problem = result.answer(Ok(json!("x"))).unwrap_err();
        assert!(problem.detail.unwrap().contains("a:b/c.ask"));

        let busy = Problem::new(ErrorType::Communication, "Busy", "later")
            .with_status(429)
            .with_retry_after(5);
        let Some(Val::Result(Err(Some(fault)))) = result.answer(Err(busy.clone())).unwrap() else {
            panic!("no fault")
        };
        let Val::Record(fields) = *fault else {
            panic!("no record")
        };
        assert_eq!(fields[1], ("status".to_owned(), Val::U16(429)));
        let plain = imported(Returns::Result {
            ok: None,
            err: Some(Shape::String),
        });
        assert_eq!(plain.answer(Err(busy.clone())).unwrap_err(), busy);
    }
}
