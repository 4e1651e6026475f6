// Decides where every variable of a template lives, before it runs.
//
// jinja2 compiles templates to Python functions and settles at that time which variable a name
// means: a name that a scope assigns anywhere is that scope's own from its start, and a scope that
// only reads it reads the next outer one. Templates depend on the details (an assignment in a loop
// lasts for one iteration; a variable set after a loop hides one of the context inside it), so the
// same analysis is made here: of symbols per scope, and of slots per function. Macros, call blocks,
// loop conditions, recursive loops and blocks are functions; they see the variables of the
// functions around them as these change.
#pragma once

#include "text/jinja_ast.h"

namespace slm::text::jinja {

// Fills in what jinja_ast.h leaves to the binder. Throws SyntaxFailure for what jinja2 refuses to
// compile: unknown filters and tests, assignments to `loop`, misplaced breaks.
void Bind(Program* program);

}  // namespace slm::text::jinja
