// SPDX-License-Identifier: MIT
/* nvmet.c - an NVMe target by configfs, and a connection by /dev/nvme-fabrics: see nvmet.h */
#define _GNU_SOURCE
#include "nvmet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <rdma/rdma_netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define CONFIG "/run/config"
#define TARGET CONFIG "/nvmet"
#define SUBSYSTEM TARGET "/subsystems/row"
#define PORT TARGET "/ports/1"
#define LINK PORT "/subsystems/row"
#define RDMA_INTERFACE "dummy0"
#define RDMA_ADDRESS "10.7.7.1"

static int controller = -1;	/* nvmeN of the connection */

static int interface_up(const char *name, const char *address)
{
	struct ifreq req = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&req.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	rc = ioctl(fd, SIOCSIFADDR, &req);
	req.ifr_flags = IFF_UP | IFF_RUNNING;
	rc = rc ? rc : ioctl(fd, SIOCSIFFLAGS, &req);
	rc = rc ? -errno : 0;
	close(fd);
	return rc;
}

struct newlink {
	struct nlmsghdr head;
	char attributes[128];
};

static void add_string(struct newlink *msg, unsigned short type, const char *text)
{
	struct nlattr *attr = (struct nlattr *)((char *)msg + NLMSG_ALIGN(msg->head.nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = (unsigned short)(NLA_HDRLEN + strlen(text) + 1);
	strcpy((char *)attr + NLA_HDRLEN, text);
	msg->head.nlmsg_len = NLMSG_ALIGN(msg->head.nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

/* What "rdma link add rxe0 type rxe netdev dummy0" asks for. */
static int add_rxe(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA), rc = -EPROTO;
	struct newlink msg = { .head = {
		.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK),
	} };
	char answer[512] __attribute__((aligned(8)));
	struct nlmsghdr *head = (struct nlmsghdr *)answer;

	add_string(&msg, RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
	add_string(&msg, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	add_string(&msg, RDMA_NLDEV_ATTR_NDEV_NAME, RDMA_INTERFACE);
	if (send(fd, &msg, msg.head.nlmsg_len, 0) == (ssize_t)msg.head.nlmsg_len &&
	    recv(fd, answer, sizeof(answer), 0) > 0 && head->nlmsg_type == NLMSG_ERROR)
		rc = ((struct nlmsgerr *)NLMSG_DATA(head))->error;
	close(fd);
	return rc == -EEXIST ? 0 : rc;
}

static int rdma_up(void)
{
	return h_modprobe("dummy", NULL) ?: interface_up(RDMA_INTERFACE, RDMA_ADDRESS) ?:
	       h_modprobe("rdma_rxe", NULL) ?: add_rxe();
}

static int load(const char *transport)
{
	char host[32], target[32];

	snprintf(host, sizeof(host), "nvme-%s", transport);
	snprintf(target, sizeof(target), "nvmet-%s", transport);
	/* One module is both sides of the loop. */
	return h_modprobe("nvmet", NULL) ?: h_modprobe(host, NULL) ?:
	       (strcmp(transport, "loop") ? h_modprobe(target, NULL) : 0);
}

static int make_subsystem(const char *disk)
{
	mkdir(CONFIG, 0700);
	if (mount("configfs", CONFIG, "configfs", 0, NULL) && errno != EBUSY)
		return -errno;
	if (mkdir(SUBSYSTEM, 0700) || mkdir(SUBSYSTEM "/namespaces/1", 0700))
		return -errno;
	return h_write(SUBSYSTEM "/attr_allow_any_host", "1") ?:
	       h_write(SUBSYSTEM "/namespaces/1/device_path", disk) ?:
	       h_write(SUBSYSTEM "/namespaces/1/enable", "1");
}

static int make_port(const char *transport, const char *address)
{
	int rc;

	if (mkdir(PORT, 0700))
		return -errno;
	rc = h_write(PORT "/addr_trtype", transport);
	if (!rc && address)
		rc = h_write(PORT "/addr_adrfam", "ipv4") ?:
		     h_write(PORT "/addr_traddr", address) ?:
		     h_write(PORT "/addr_trsvcid", "4420");
	if (!rc && symlink(SUBSYSTEM, LINK))
		rc = -errno;
	return rc;
}

static int dial(const char *transport, const char *address)
{
	char words[256];
	int fd = open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC), rc = 0;
	ssize_t n;

	snprintf(words, sizeof(words), "transport=%s,nqn=row%s%s%s", transport,
		 address ? ",traddr=" : "", address ? address : "",
		 address ? ",trsvcid=4420" : "");
	if (write(fd, words, strlen(words)) < 0)
		rc = -errno;
	n = rc ? 0 : read(fd, words, sizeof(words) - 1);
	words[n > 0 ? n : 0] = '\0';
	close(fd);
	if (!rc && sscanf(words, "instance=%d", &controller) != 1)
		rc = -EPROTO;
	return rc;
}

static int raise_all(const char *transport, const char *disk)
{
	const char *address = !strcmp(transport, "tcp") ? "127.0.0.1" :
			      !strcmp(transport, "rdma") ? RDMA_ADDRESS : NULL;
	int rc = load(transport);

	if (!rc && !strcmp(transport, "tcp"))
		rc = interface_up("lo", address);
	if (!rc && !strcmp(transport, "rdma"))
		rc = rdma_up();
	return rc ?: make_subsystem(disk) ?: make_port(transport, address) ?:
	       dial(transport, address);
}

const char *nvmet_connect(const char *transport, const char *disk)
{
	static char path[64];
	int rc = raise_all(transport, disk);

	if (rc) {
		h_diag("nvmet over %s: %s", transport, strerror(-rc));
		return NULL;
	}
	snprintf(path, sizeof(path), "/dev/nvme%dn1", controller);
	return h_wait_until(!access(path, F_OK), 10000) ? path : NULL;
}

int nvmet_disconnect(void)
{
	int rc = h_writef("1", "/sys/class/nvme/nvme%d/delete_controller", controller);

	if (!rc && (unlink(LINK) || rmdir(PORT) || rmdir(SUBSYSTEM "/namespaces/1") ||
		    rmdir(SUBSYSTEM)))
		rc = -errno;
	return rc;
}
