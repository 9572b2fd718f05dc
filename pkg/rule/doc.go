// Package rule compiles, applies, explains and tests the rules by which a
// router sends entries to streams. docs/rules.md is its manual. It does no I/O,
// but that Compile reads the key of hashes from where the file says.
//
// A File is the rules' part of a configuration; Compile makes a Set of it and
// reports all faults at once. Set.Plan resolves what a subject alone decides:
// where it decides everything, Plan.Whole says so and packs move without a look
// inside, else Plan.Eval decides line by line, in one scan and without
// allocating.
//
// Set.Explain tells what each rule had to say about an entry, Set.Warnings what a
// file can hardly mean, Set.RunTests runs the file's own tests.
//
// What holds for every entry:
//
//   - Rules are asked in the order of the file. A rule that matches is applied
//     and the next one is asked, unless the rule is last; drop implies last.
//   - An entry goes to a stream at most once: the first rule that sends it
//     there fixes the copy. Copies made before a drop stay.
//   - Rules that change an entry change its line byte by byte where they mean it
//     and nowhere else. Later rules see the change; copies made earlier do not.
//     dlog's own key is never changed. A copy travels under the level that a rule
//     gave it, but what frames tasks keeps the token task.
//   - A rule that cannot be applied to an entry ends it: Decision.Dead.
//   - What no rule sent anywhere, dropped or failed on goes to the default streams.
//   - For the entries that frame tasks (token task) what a rule asks of the
//     level is left out, and a rule that could remove them on account of it
//     never matches, unless it says task_entries = "filter": then the level is
//     that of the JSON.
//
// The cost of an entry does not grow with the number of rules: a plan holds
// only those its subject leaves open, and among them those that ask for one
// value of a field are found through an index.
//
// Each action is one file, action_NAME.go, and one line in the list of actions.
package rule
