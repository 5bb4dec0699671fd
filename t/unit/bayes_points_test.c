/* The points of a probability. */
#include "lib/pipeline/stage_bayes.h"
#include "t/tap.h"

#include <math.h>

static const struct {
	double spam_at, ham_at, spam_points, ham_points;
	double probability, points;
} rows[] = {
    {0.95, 0.2, 6, 2, 0, -2},   {0.95, 0.2, 6, 2, 0.1, -1},
    {0.95, 0.2, 6, 2, 0.2, 0},  {0.95, 0.2, 6, 2, 0.575, 1.5},
    {0.95, 0.2, 6, 2, 0.95, 3}, {0.95, 0.2, 6, 2, 0.975, 4.5},
    {0.95, 0.2, 6, 2, 1, 6},    {0.95, 0.2, 0, 0, 1, 0},
    {0.95, 0.2, 0, 0, 0, 0},    {1, 0, 8, 4, 1, 8},
    {1, 0, 8, 4, 0, 0},         {1, 0, 8, 4, 0.5, 2},
};

int main(void)
{
	double last = -1000;
	bool grows = true;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct bayes_settings settings = {.spam_at = rows[i].spam_at,
		                                        .ham_at = rows[i].ham_at,
		                                        .spam_points = rows[i].spam_points,
		                                        .ham_points = rows[i].ham_points};
		double points = bayes_points(&settings, rows[i].probability);
		ok(fabs(points - rows[i].points) < 1e-9, "probability %g with %g at %g and -%g at %g: %g", rows[i].probability,
		   rows[i].spam_points, rows[i].spam_at, rows[i].ham_points, rows[i].ham_at, points);
	}
	for (int i = 0; i <= 1000; i++) {
		const struct bayes_settings settings = {.spam_at = 0.9, .ham_at = 0.3, .spam_points = 5, .ham_points = 1};
		double points = bayes_points(&settings, i / 1000.0);
		grows = grows && points >= last && (i == 0 || points - last < 0.1);
		last = points;
	}
	ok(grows, "they grow without a jump");
	return done_testing();
}
