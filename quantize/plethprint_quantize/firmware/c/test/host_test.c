/* The pack's own test, on the machine that builds it. */
#include <stdio.h>

#include "check.h"
#include "pp_golden.h"

static pp_workspace_t workspace;

static int tell(const char *what, uint32_t wrong)
{
    printf("%-44s %s\n", what, (wrong == 0u) ? "ok" : "FAILED");
    if (wrong != 0u) {
        printf("    %lu wrong\n", (unsigned long)wrong);
    }
    return (wrong == 0u) ? 0 : 1;
}

int main(void)
{
    int failed = 0;
    printf("%s, arithmetic: %s, workspace: %lu bytes\n", PP_MODEL_ID, pp_arithmetic(),
           (unsigned long)sizeof workspace);
    failed += tell("the self-test passes before pp_init",
                   (pp_self_test(&workspace) == PP_OK) ? 0u : 1u);
    failed += tell("bad arguments are refused", check_refusals(&workspace));
    failed += tell("golden windows give golden fingerprints", check_golden(&workspace));
    failed += tell("counts give golden fingerprints", check_stream(&workspace));
    failed += tell("the self-test passes", (pp_self_test(&workspace) == PP_OK) ? 0u : 1u);
    failed += tell("counts again, after the self-test", check_stream(&workspace));
    return (failed == 0) ? 0 : 1;
}
