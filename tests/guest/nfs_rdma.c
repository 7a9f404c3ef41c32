// SPDX-License-Identifier: MIT
/*
 * An RDMA device: see nfs_rdma.h.  rxe carries packets for its own address back to
 * itself, so the interface needs no other end.
 */
#define _GNU_SOURCE
#include "nfs_rdma.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <rdma/rdma_netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "nfs.h"

#define INTERFACE "dummy0"

static int interface_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = INTERFACE };
	struct sockaddr_in *at = (void *)&req.ifr_addr;
	int rc = 0;

	at->sin_family = AF_INET;
	at->sin_addr.s_addr = inet_addr(NFS_RDMA_ADDRESS);
	if (ioctl(fd, SIOCSIFADDR, &req))
		rc = -errno;
	req.ifr_flags = IFF_UP | IFF_RUNNING;
	if (!rc && ioctl(fd, SIOCSIFFLAGS, &req))
		rc = -errno;
	close(fd);
	return rc;
}

static void add_text(struct nlmsghdr *message, unsigned short type, const char *text)
{
	struct nlattr *attr = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = (unsigned short)(NLA_HDRLEN + strlen(text) + 1);
	strcpy((char *)attr + NLA_HDRLEN, text);
	message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

/* Sends it; what the kernel answers is an errno, 0 for well done. */
static int ask(int fd, struct nlmsghdr *message)
{
	char reply[512];
	struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)reply);

	if (send(fd, message, message->nlmsg_len, 0) < 0)
		return -errno;
	if (recv(fd, reply, sizeof(reply), 0) < 0)
		return -errno;
	return error->error;
}

int nfs_rdma_device(void)
{
	_Alignas(8) char buf[256] = { 0 };
	struct nlmsghdr *message = (void *)buf;
	int rc, fd;

	rc = h_modprobe("dummy", NULL) ?: h_modprobe("rdma_rxe", NULL) ?: interface_up();
	if (rc)
		return rc;
	*message = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK),
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
	};
	add_text(message, RDMA_NLDEV_ATTR_DEV_NAME, "rxe0");
	add_text(message, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	add_text(message, RDMA_NLDEV_ATTR_NDEV_NAME, INTERFACE);
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_RDMA);
	if (fd < 0)
		return -errno;
	rc = ask(fd, message);
	close(fd);
	return rc;
}
