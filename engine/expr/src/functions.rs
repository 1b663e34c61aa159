//! Which functions an expression may call: an allow-list by name and number of arguments, and the reasons why the
//! others are not there.

/// The functions of the full evaluator that an expression may call, with their numbers of arguments.
pub(crate) const ALLOWED: &[(&str, &[usize])] = &[
    ("@base64", &[0]),
    ("@base64d", &[0]),
    ("@csv", &[0]),
    ("@html", &[0]),
    ("@htmld", &[0]),
    ("@json", &[0]),
    ("@sh", &[0]),
    ("@text", &[0]),
    ("@tsv", &[0]),
    ("@uri", &[0]),
    ("@urid", &[0]),
    ("IN", &[1, 2]),
    ("INDEX", &[1, 2]),
    ("abs", &[0]),
    ("acos", &[0]),
    ("acosh", &[0]),
    ("add", &[0, 1]),
    ("all", &[0, 1, 2]),
    ("any", &[0, 1, 2]),
    ("arrays", &[0]),
    ("ascii_downcase", &[0]),
    ("ascii_upcase", &[0]),
    ("asin", &[0]),
    ("asinh", &[0]),
    ("atan", &[0]),
    ("atan2", &[2]),
    ("atanh", &[0]),
    ("booleans", &[0]),
    ("bsearch", &[1]),
    ("capture", &[1, 2]),
    ("cbrt", &[0]),
    ("ceil", &[0]),
    ("combinations", &[0, 1]),
    ("contains", &[1]),
    ("copysign", &[2]),
    ("cos", &[0]),
    ("cosh", &[0]),
    ("del", &[1]),
    ("delpaths", &[1]),
    ("drem", &[2]),
    ("empty", &[0]),
    ("endswith", &[1]),
    ("erf", &[0]),
    ("error", &[0, 1]),
    ("exp", &[0]),
    ("exp10", &[0]),
    ("exp2", &[0]),
    ("explode", &[0]),
    ("expm1", &[0]),
    ("fabs", &[0]),
    ("false", &[0]),
    ("fdim", &[2]),
    ("finites", &[0]),
    ("first", &[0, 1]),
    ("flatten", &[0, 1]),
    ("floor", &[0]),
    ("fma", &[3]),
    ("fmax", &[2]),
    ("fmin", &[2]),
    ("fmod", &[2]),
    ("frexp", &[0]),
    ("from_entries", &[0]),
    ("fromdate", &[0]),
    ("fromdateiso8601", &[0]),
    ("fromjson", &[0]),
    ("gamma", &[0]),
    ("getpath", &[1]),
    ("gmtime", &[0]),
    ("group_by", &[1]),
    ("gsub", &[2, 3]),
    ("has", &[1]),
    ("hypot", &[2]),
    ("ilogb", &[0]),
    ("implode", &[0]),
    ("in", &[1]),
    ("index", &[1]),
    ("indices", &[1]),
    ("infinite", &[0]),
    ("inside", &[1]),
    ("isarray", &[0]),
    ("isboolean", &[0]),
    ("isempty", &[1]),
    ("isfinite", &[0]),
    ("isinfinite", &[0]),
    ("isnan", &[0]),
    ("isnormal", &[0]),
    ("isnumber", &[0]),
    ("isobject", &[0]),
    ("isstring", &[0]),
    ("iterables", &[0]),
    ("join", &[1]),
    ("keys", &[0]),
    ("keys_unsorted", &[0]),
    ("last", &[0, 1]),
    ("ldexp", &[2]),
    ("length", &[0]),
    ("lgamma", &[0]),
    ("limit", &[2]),
    ("log", &[0]),
    ("log10", &[0]),
    ("log1p", &[0]),
    ("log2", &[0]),
    ("logb", &[0]),
    ("ltrim", &[0]),
    ("ltrimstr", &[1]),
    ("map", &[1]),
    ("map_values", &[1]),
    ("match", &[1, 2]),
    ("max", &[0]),
    ("max_by", &[1]),
    ("min", &[0]),
    ("min_by", &[1]),
    ("mktime", &[0]),
    ("modf", &[0]),
    ("nan", &[0]),
    ("nearbyint", &[0]),
    ("nextafter", &[2]),
    ("nexttoward", &[2]),
    ("normals", &[0]),
    ("not", &[0]),
    ("nth", &[1, 2]),
    ("null", &[0]),
    ("nulls", &[0]),
    ("numbers", &[0]),
    ("objects", &[0]),
    ("path", &[1]),
    ("paths", &[0, 1]),
    ("pick", &[1]),
    ("pow", &[2]),
    ("pow10", &[0]),
    ("range", &[1, 2, 3]),
    ("recurse", &[0, 1, 2]),
    ("remainder", &[2]),
    ("repeat", &[1]),
    ("reverse", &[0]),
    ("rindex", &[1]),
    ("rint", &[0]),
    ("round", &[0]),
    ("rtrim", &[0]),
    ("rtrimstr", &[1]),
    ("scalars", &[0]),
    ("scalb", &[2]),
    ("scalbln", &[2]),
    ("scan", &[1, 2]),
    ("select", &[1]),
    ("setpath", &[2]),
    ("significand", &[0]),
    ("sin", &[0]),
    ("sinh", &[0]),
    ("skip", &[2]),
    ("sort", &[0]),
    ("sort_by", &[1]),
    ("split", &[1, 2]),
    ("splits", &[1, 2]),
    ("sqrt", &[0]),
    ("startswith", &[1]),
    ("strftime", &[1]),
    ("strings", &[0]),
    ("strptime", &[1]),
    ("sub", &[2, 3]),
    ("tan", &[0]),
    ("tanh", &[0]),
    ("test", &[1, 2]),
    ("tgamma", &[0]),
    ("to_entries", &[0]),
    ("toarray", &[0]),
    ("toboolean", &[0]),
    ("todate", &[0]),
    ("todateiso8601", &[0]),
    ("tojson", &[0]),
    ("tonumber", &[0]),
    ("tostring", &[0]),
    ("transpose", &[0]),
    ("trim", &[0]),
    ("trimstr", &[1]),
    ("true", &[0]),
    ("trunc", &[0]),
    ("type", &[0]),
    ("unique", &[0]),
    ("unique_by", &[1]),
    ("until", &[2]),
    ("utf8bytelength", &[0]),
    ("values", &[0]),
    ("walk", &[1]),
    ("while", &[2]),
    ("with_entries", &[1]),
];

/// Functions whose result can hold characters that were in none of the texts that they were given.
const DECODING: &[&str] = &["@base64d", "@htmld", "@urid", "fromjson", "implode"];

/// Whether a function can make text with any characters.
pub(crate) fn decodes(name: &str) -> bool {
    DECODING.contains(&name)
}

/// Functions that look into a text that they are given.
const LOOKING: &[&str] = &[
    "@base64",
    "@base64d",
    "@csv",
    "@html",
    "@htmld",
    "@sh",
    "@tsv",
    "@uri",
    "@urid",
    "IN",
    "ascii_downcase",
    "ascii_upcase",
    "capture",
    "contains",
    "endswith",
    "explode",
    "fromjson",
    "gsub",
    "index",
    "indices",
    "inside",
    "length",
    "ltrim",
    "ltrimstr",
    "match",
    "rindex",
    "rtrim",
    "rtrimstr",
    "scan",
    "select",
    "split",
    "splits",
    "startswith",
    "sub",
    "test",
    "toboolean",
    "tonumber",
    "trim",
    "trimstr",
    "utf8bytelength",
];

/// Whether a function looks into a text that it is given.
pub(crate) fn looks(name: &str) -> bool {
    LOOKING.contains(&name)
}

const TIME: &str = "time comes from $workflow and $task";
const HOST: &str = "an expression cannot see the process it runs in";
const OUTPUT: &str = "an expression has no output but its value";
const INPUT: &str = "an expression has one input, and that is '.'";
const STOP: &str = "an expression cannot end the process; use error(\"…\") to fail";
const MODULES: &str = "an expression has no modules";
const ZONE: &str =
    "an expression does not depend on the time zone of a machine; use gmtime, strftime or mktime, which are UTC";

/// jq functions that no expression may call, and why.
const REFUSED: &[(&str, &str)] = &[
    ("now", TIME),
    ("localtime", ZONE),
    ("strflocaltime", ZONE),
    ("env", HOST),
    ("$ENV", HOST),
    ("$__prog_args", HOST),
    ("$__loc__", "an expression has no file and line of its own"),
    ("halt", STOP),
    ("halt_error", STOP),
    ("input", INPUT),
    ("inputs", INPUT),
    ("input_filename", INPUT),
    ("input_line_number", INPUT),
    ("debug", OUTPUT),
    ("stderr", OUTPUT),
    ("get_search_list", MODULES),
    ("modulemeta", MODULES),
    ("module", MODULES),
    ("input_filename", INPUT),
    ("$__prog_name", HOST),
];

/// Why `name` (a function, or a variable with its `$`) must not be used, if so.
pub(crate) fn refusal(name: &str) -> Option<String> {
    let (_, reason) = REFUSED.iter().find(|(refused, _)| *refused == name)?;
    Some(format!("'{name}' is not available: {reason}"))
}

/// Checks a call of a function that the expression does not define itself.
pub(crate) fn check_call(name: &str, arguments: usize) -> Result<(), String> {
    if let Some(refusal) = refusal(name) {
        return Err(refusal);
    }
    match ALLOWED.iter().find(|(allowed, _)| *allowed == name) {
        Some((_, arities)) if arities.contains(&arguments) => Ok(()),
        Some((_, arities)) => {
            let arities: Vec<String> = arities.iter().map(ToString::to_string).collect();
            let plural = if arities == ["1"] { "" } else { "s" };
            Err(format!(
                "'{name}' takes {} argument{plural}, not {arguments}",
                arities.join(" or ")
            ))
        }
        None => Err(match similar(name) {
            Some(other) => format!("unknown function '{name}'; did you mean '{other}'?"),
            None => format!("unknown function '{name}'"),
        }),
    }
}

/// The allowed function whose name is one or two slips away.
fn similar(name: &str) -> Option<&'static str> {
    let limit = if name.len() < 5 { 1 } else { 2 };
    let names = ALLOWED.iter().map(|(allowed, _)| *allowed);
    let (distance, best) = names.map(|allowed| (distance(name, allowed), allowed)).min()?;
    (distance <= limit).then_some(best)
}

/// Levenshtein's distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
