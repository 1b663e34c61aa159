# What jq has and jaq has not.
def toarray: if isarray then . else [.] end;
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def @csv: [.[] |
    if . == null then ""
    elif isstring then "\"" + (split("\"") | join("\"\"")) + "\""
    elif isarray or isobject then error("\(type) is not valid in a csv row")
    else tostring end
  ] | join(",");
def @tsv: [.[] |
    if . == null then ""
    elif isstring then
      (split("\\") | join("\\\\")) | (split("\t") | join("\\t")) | (split("\n") | join("\\n")) | (split("\r") | join("\\r"))
    elif isarray or isobject then error("\(type) is not valid in a tsv row")
    else tostring end
  ] | join("\t");
