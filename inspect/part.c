#include "inspect/part.h"

#include "lib/base/clock.h"

static bool used_up(struct part_budget *budget, const char *what)
{
	budget->exhausted = budget->exhausted == NULL ? what : budget->exhausted;
	return false;
}

bool part_budget_bytes(struct part_budget *budget, uint64_t n)
{
	if (n > budget->bytes) {
		budget->bytes = 0;
		return used_up(budget, "too much to unpack");
	}
	budget->bytes -= n;
	return true;
}

bool part_budget_part(struct part_budget *budget, unsigned depth)
{
	if (depth > budget->depth_max) {
		return used_up(budget, "nested too deep");
	}
	if (budget->parts == 0) {
		return used_up(budget, "too many parts");
	}
	budget->parts--;
	return part_budget_time(budget);
}

bool part_budget_time(struct part_budget *budget)
{
	return clock_now() < budget->deadline || used_up(budget, "out of time");
}
