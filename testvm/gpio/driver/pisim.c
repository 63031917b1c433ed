// SPDX-License-Identifier: GPL-2.0
/*
 * pisim - a pretended I2C bus and a pretended 1-Wire thermometer, for tests in
 * a virtual machine.
 *
 * The kernel's i2c-stub speaks SMBus only, and the gateway's drivers plain I2C
 * (I2C_RDWR); and no module of the kernel pretends to be a 1-Wire slave.
 *
 * The bus is number 1, as on a Pi. A device on it has 256 registers of 8 bits.
 * What is read runs on from register to register; what is written are pairs of
 * a register and its value. Bosch's sensors do the same.
 *
 * The world is /sys/module/pisim/parameters:
 *   i2c       "ADDR REG HEXHEX..."  a device is at ADDR; sets its registers
 *             "ADDR -"              no device is at ADDR (NAK)
 *             Read: the registers of the device that was written last, in hex.
 *   i2c_stuck N  0: all is well; else every transfer fails with errno N
 *   w1_milli  N  what the DS18B20 28-00000000055a will measure, in 1/1000 degree
 *   w1_state  N  0 it is absent; 1 all is well; 2 its checksum is wrong;
 *                3 it has just been powered up and not converted (85 C)
 */
#include <linux/module.h>
#include <linux/i2c.h>
#include <linux/w1.h>
#include <linux/slab.h>
#include <linux/ctype.h>
#include <linux/kernel.h>

static DEFINE_MUTEX(lock);
static u8 regs[128][256], ptr[128];
static bool present[128];
static unsigned int last;
static int i2c_stuck;
module_param(i2c_stuck, int, 0644);

static int i2c_set(const char *val, const struct kernel_param *kp)
{
	unsigned int addr, reg;
	int n = 0;

	if (sscanf(val, "%x %n", &addr, &n) < 1 || addr > 127 || !n)
		return -EINVAL;
	val += n;
	mutex_lock(&lock);
	last = addr;
	if (*val == '-') {
		present[addr] = false;
	} else {
		n = 0;
		if (sscanf(val, "%x %n", &reg, &n) >= 1 && n)
			for (val += n; isxdigit(val[0]) && isxdigit(val[1]); val += 2)
				regs[addr][reg++ & 0xff] =
					hex_to_bin(val[0]) << 4 | hex_to_bin(val[1]);
		present[addr] = true;
	}
	mutex_unlock(&lock);
	return 0;
}

static int i2c_get(char *buf, const struct kernel_param *kp)
{
	int i, n = 0;

	for (i = 0; i < 256; i++)
		n += sprintf(buf + n, "%02x", regs[last][i]);
	return n + sprintf(buf + n, "\n");
}
static const struct kernel_param_ops i2c_ops = { .set = i2c_set, .get = i2c_get };
module_param_cb(i2c, &i2c_ops, NULL, 0644);

static int pisim_xfer(struct i2c_adapter *a, struct i2c_msg *m, int num)
{
	int i, j;

	if (i2c_stuck)
		return -i2c_stuck;
	mutex_lock(&lock);
	for (i = 0; i < num; i++) {
		u16 d = m[i].addr & 0x7f;

		if (!present[d]) {
			mutex_unlock(&lock);
			return -EREMOTEIO; /* what bcm2835-i2c says on a NAK */
		}
		for (j = 0; j < m[i].len; j++) {
			if (m[i].flags & I2C_M_RD)
				m[i].buf[j] = regs[d][ptr[d]++];
			else if (j % 2 == 0)
				ptr[d] = m[i].buf[j];
			else
				regs[d][ptr[d]] = m[i].buf[j];
		}
	}
	mutex_unlock(&lock);
	return num;
}

static u32 pisim_func(struct i2c_adapter *a)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}
static const struct i2c_algorithm algo = {
	.master_xfer = pisim_xfer, .functionality = pisim_func,
};
static struct i2c_adapter adap = {
	.owner = THIS_MODULE, .name = "pisim i2c", .algo = &algo, .nr = 1,
};

/* --- one DS18B20 --- */
static int w1_milli = 21500, w1_state = 1;
module_param(w1_milli, int, 0644);
module_param(w1_state, int, 0644);
static u8 pad[9], cfg[3] = { 75, 70, 0x7f }, rom[8] = { 0x28, 0x5a, 0x05, 0, 0, 0, 0 };
static enum { S_IDLE, S_ROMCMD, S_MATCH, S_FUNC, S_READ, S_WPAD, S_READROM } st;
static int pos;
static bool hit;

static void fill_pad(void)
{
	int raw = w1_state == 3 ? 85 * 16 : w1_milli * 16 / 1000;

	pad[0] = raw;
	pad[1] = raw >> 8;
	memcpy(pad + 2, cfg, 3);
	pad[5] = 0xff;
	pad[6] = 0x0c;
	pad[7] = 0x10;
}

static u8 w_reset(void *d)
{
	st = S_ROMCMD;
	pos = 0;
	return w1_state == 0;
}

static void w_write(void *d, u8 b)
{
	switch (st) {
	case S_ROMCMD:
		hit = true;
		pos = 0;
		st = b == 0x55 ? S_MATCH : b == 0xcc ? S_FUNC : b == 0x33 ? S_READROM : S_IDLE;
		break;
	case S_MATCH:
		hit &= b == rom[pos];
		if (++pos == 8)
			st = hit ? S_FUNC : S_IDLE;
		break;
	case S_FUNC:
		pos = 0;
		if (b == 0x44)
			fill_pad();
		/* The checksum is wrong on the wire only. */
		pad[8] = w1_calc_crc8(pad, 8) ^ (w1_state == 2 ? 0x55 : 0);
		st = b == 0xbe ? S_READ : b == 0x4e ? S_WPAD : S_IDLE;
		break;
	case S_WPAD:
		cfg[pos] = b;
		if (++pos == 3)
			st = S_IDLE;
		memcpy(pad + 2, cfg, 3);
		break;
	default:
		break;
	}
}

static u8 w_read(void *d)
{
	if (w1_state == 0)
		return 0xff;
	if (st == S_READ && pos < 9)
		return pad[pos++];
	if (st == S_READROM && pos < 8)
		return rom[pos++];
	return 0xff;
}

static u8 w_touch(void *d, u8 bit)
{
	return 1;	/* not parasite powered; conversion always finished */
}

static void w_search(void *d, struct w1_master *m, u8 type, w1_slave_found_callback cb)
{
	__le64 rn;

	memcpy(&rn, rom, 8);
	if (w1_state)
		cb(m, le64_to_cpu(rn));
}
static struct w1_bus_master w1m = {
	.reset_bus = w_reset, .write_byte = w_write, .read_byte = w_read,
	.touch_bit = w_touch, .search = w_search,
};

static int __init pisim_init(void)
{
	int r;

	rom[7] = w1_calc_crc8(rom, 7);
	fill_pad();
	r = i2c_add_numbered_adapter(&adap);
	if (r)
		return r;
	r = w1_add_master_device(&w1m);
	if (r)
		i2c_del_adapter(&adap);
	return r;
}

static void __exit pisim_exit(void)
{
	w1_remove_master_device(&w1m);
	i2c_del_adapter(&adap);
}
module_init(pisim_init);
module_exit(pisim_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("pretended I2C and 1-Wire buses for tests");
