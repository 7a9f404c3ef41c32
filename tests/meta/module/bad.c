// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module under the driver's name that misbehaves when told to: the runner
 * must notice.  Never loaded but by the tests of the runner.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

static bool held;
module_param(held, bool, 0444);
MODULE_PARM_DESC(held, "cannot be unloaded, like a driver that leaks a reference");

static bool warn_on_exit;
module_param(warn_on_exit, bool, 0444);
MODULE_PARM_DESC(warn_on_exit, "warns when it is unloaded: after the last test");

static bool leaky;
module_param(leaky, bool, 0444);
MODULE_PARM_DESC(leaky, "loses memory when it is unloaded: only a search of all memory finds that");

static int set_trouble(const char *what, const struct kernel_param *kp)
{
	if (sysfs_streq(what, "warn"))
		WARN(1, "meta: asked to warn\n");
	else if (sysfs_streq(what, "message"))
		pr_warn("meta: a driver's warning is not a splat\n");
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops trouble_ops = { .set = set_trouble };
module_param_cb(trouble, &trouble_ops, NULL, 0200);
MODULE_PARM_DESC(trouble, "warn, message");

static int __init bad_init(void)
{
	if (held)
		__module_get(THIS_MODULE);
	return 0;
}

static void __exit bad_exit(void)
{
	if (leaky && !kmalloc(123, GFP_KERNEL))
		pr_warn("meta: no memory to lose\n");
	WARN(warn_on_exit, "meta: asked to warn on exit\n");
}

module_init(bad_init);
module_exit(bad_exit);
MODULE_DESCRIPTION("A driver that misbehaves, for the tests of the test runner");
MODULE_LICENSE("GPL");
