// SPDX-License-Identifier: GPL-3.0-or-later
//! What any domain may say, whoever defined it, as libvirt writes it.
//!
//! In the order of libvirt's documentation, and a line for each thing that was thought about. It
//! gives a guest nothing of the host but files in the policy's pools, the policy's networks and
//! devices, the distribution's firmware, and random numbers.

pub(super) const ALLOWED: &str = "
    domain                                      type=kvm|qemu id=@number
    domain/name                                 : @name
    domain/uuid                                 : @word
    domain/genid                                : @word
    domain/{title,description}                  : @text
    ~domain/metadata
    domain/maxMemory                            slots=@number unit=@unit : @number
    domain/memory                               unit=@unit dumpCore=on|off : @number
    domain/currentMemory                        unit=@unit : @number

    domain/memoryBacking
    domain/memoryBacking/hugepages              !huge-pages
    *domain/memoryBacking/hugepages/page        size=@number unit=@unit nodeset=@set
    domain/memoryBacking/nosharepages
    domain/memoryBacking/source                 type=memfd|anonymous
    domain/memoryBacking/access                 mode=shared|private
    domain/memoryBacking/allocation             mode=immediate|ondemand threads=@number
    domain/memoryBacking/discard

    domain/memtune
    domain/memtune/{hard_limit,soft_limit,swap_hard_limit,min_guarantee} unit=@unit : @number
    domain/blkiotune
    domain/blkiotune/weight                     : @number
    domain/vcpu                                 placement=static|auto cpuset=@pinned current=@cpus : @cpus
    domain/vcpus
    *domain/vcpus/vcpu                          id=@number enabled=yes|no hotpluggable=yes|no order=@number
    domain/iothreads                            : @number
    domain/iothreadids
    *domain/iothreadids/iothread                id=@number thread_pool_min=@number thread_pool_max=@number
    *domain/iothreadids/iothread/poll           max=@number grow=@number shrink=@number
    domain/cputune
    *domain/cputune/vcpupin                     !pinning vcpu=@number cpuset=@set
    domain/cputune/emulatorpin                  !pinning cpuset=@set
    *domain/cputune/iothreadpin                 !pinning iothread=@number cpuset=@set
    domain/cputune/{shares,period,quota,global_period,global_quota} : @integer
    domain/cputune/{emulator_period,emulator_quota,iothread_period,iothread_quota} : @integer
    domain/numatune                             !pinning
    domain/numatune/memory                      mode=@word nodeset=@set placement=static|auto
    *domain/numatune/memnode                    cellid=@number mode=@word nodeset=@set
    domain/resource
    domain/resource/partition                   : /machine

    domain/sysinfo                              type=smbios
    domain/sysinfo/{bios,system,chassis,oemStrings}
    *domain/sysinfo/{baseBoard,processor,memory}
    *domain/sysinfo/{bios,system,chassis,oemStrings,baseBoard,processor,memory}/entry name=@word : @text

    domain/os                                   firmware=efi|bios
    domain/os/type                              arch=@word machine=@word : hvm
    domain/os/firmware
    *domain/os/firmware/feature                 enabled=yes|no name=@word
    domain/os/loader                            readonly=yes secure=yes|no stateless=yes|no type=rom|pflash format=raw|qcow2 : @system
    domain/os/nvram                             template=@system templateFormat=raw|qcow2 format=raw|qcow2 type=file : @nvram
    domain/os/nvram/source                      file=@nvram
    domain/os/{kernel,initrd,dtb}               : @boot
    domain/os/cmdline                           : @text
    *domain/os/boot                             dev=hd|cdrom|network|fd
    domain/os/bootmenu                          enable=yes|no timeout=@number
    domain/os/bios                              useserial=yes|no rebootTimeout=@integer
    domain/os/smbios                            mode=emulate|sysinfo

    domain/features
    domain/features/{acpi,pae,privnet}
    domain/features/apic                        eoi=on|off
    domain/features/{hap,pvspinlock,pmu,vmport,vmcoreinfo,htm,nested-hv,ccf-assist,ras} state=on|off
    domain/features/ioapic                      driver=kvm|qemu
    domain/features/gic                         version=@word
    domain/features/hpt                         resizing=@word
    domain/features/hpt/maxpagesize             unit=@unit : @number
    domain/features/smm                         state=on|off
    domain/features/smm/tseg                    unit=@unit : @number
    domain/features/hyperv                      mode=custom|passthrough
    domain/features/hyperv/{relaxed,vapic,vpindex,runtime,synic,reset,frequencies,reenlightenment} state=on|off
    domain/features/hyperv/{ipi,evmcs,avic,emsr_bitmap,xmm_input} state=on|off
    domain/features/hyperv/{tlbflush,stimer}    state=on|off
    domain/features/hyperv/tlbflush/{direct,extended} state=on|off
    domain/features/hyperv/stimer/direct        state=on|off
    domain/features/hyperv/spinlocks            state=on|off retries=@number
    domain/features/hyperv/vendor_id            state=on|off value=@text
    domain/features/kvm
    domain/features/kvm/{hidden,hint-dedicated,poll-control,pv-ipi} state=on|off

    domain/cpu                                  mode=@word match=@word check=@word migratable=on|off
    domain/cpu/model                            fallback=allow|forbid vendor_id=@text : @word
    domain/cpu/vendor                           : @word
    domain/cpu/topology                         sockets=@number dies=@number clusters=@number cores=@number threads=@number
    domain/cpu/cache                            level=@number mode=@word
    domain/cpu/maxphysaddr                      mode=@word bits=@number limit=@number
    *domain/cpu/feature                         policy=@word name=@word
    domain/cpu/numa
    *domain/cpu/numa/cell                       id=@number cpus=@set memory=@number unit=@unit discard=yes|no memAccess=shared|private
    domain/cpu/numa/cell/distances
    *domain/cpu/numa/cell/distances/sibling     id=@number value=@number
    domain/clock                                offset=utc|localtime|timezone|variable adjustment=@word basis=utc|localtime timezone=@zone start=@number
    *domain/clock/timer                         name=@word tickpolicy=@word present=yes|no track=@word mode=@word frequency=@number
    domain/clock/timer/catchup                  threshold=@number slew=@number limit=@number
    domain/{on_poweroff,on_reboot}              : destroy|restart|preserve|rename-restart
    domain/on_crash                             : destroy|restart|preserve|rename-restart
    domain/on_lockfailure                       : poweroff|restart|pause|ignore
    domain/pm
    domain/pm/{suspend-to-mem,suspend-to-disk}  enabled=yes|no
    domain/launchSecurity                       !confidential type=sev|sev-snp kernelHashes=yes|no
    domain/launchSecurity/{cbitpos,reducedPhysBits,policy,dhCert,session} : @text

    domain/devices
    domain/devices/emulator                     : @emulator

    *domain/devices/disk                        type=file device=disk|cdrom|floppy model=virtio|virtio-transitional|virtio-non-transitional snapshot=no|internal|external
    domain/devices/disk/driver                  name=qemu type=qcow2|raw cache=@word io=native|threads|io_uring error_policy=stop|report|enospace rerror_policy=stop|report ioeventfd=on|off event_idx=on|off copy_on_read=on|off iothread=@number detect_zeroes=on|off|unmap discard=unmap|ignore queues=@number queue_size=@number iommu=on|off ats=on|off packed=on|off discard_no_unref=on|off
    domain/devices/disk/driver/metadata_cache
    domain/devices/disk/driver/metadata_cache/max_size unit=@unit : @number
    domain/devices/disk/source                  file=@volume index=@number startupPolicy=mandatory|requisite|optional
    ^domain/devices/disk/backingStore           type=file index=@number
    domain/devices/disk/backingStore/format     type=qcow2|raw
    domain/devices/disk/backingStore/source     file=@volume index=@number
    domain/devices/disk/target                  dev=@word bus=@word tray=open|closed removable=on|off rotation_rate=@number
    domain/devices/disk/iotune
    domain/devices/disk/iotune/{total_bytes_sec,read_bytes_sec,write_bytes_sec,total_iops_sec,read_iops_sec,write_iops_sec} : @number
    domain/devices/disk/iotune/{total_bytes_sec_max,read_bytes_sec_max,write_bytes_sec_max,total_iops_sec_max,read_iops_sec_max,write_iops_sec_max} : @number
    domain/devices/disk/iotune/{total_bytes_sec_max_length,read_bytes_sec_max_length,write_bytes_sec_max_length} : @number
    domain/devices/disk/iotune/{total_iops_sec_max_length,read_iops_sec_max_length,write_iops_sec_max_length,size_iops_sec} : @number
    domain/devices/disk/iotune/group_name       : @word
    domain/devices/disk/{serial,wwn,vendor,product} : @text
    domain/devices/disk/readonly
    domain/devices/disk/geometry                cyls=@number heads=@number secs=@number trans=@word
    domain/devices/disk/blockio                 logical_block_size=@number physical_block_size=@number discard_granularity=@number

    *domain/devices/controller                  type=pci|usb|sata|ide|scsi|fdc|virtio-serial|ccid|isa index=@number model=@word ports=@number vectors=@number
    domain/devices/controller/model             name=@word
    domain/devices/controller/target            chassis=@number port=@word chassisNr=@number busNr=@number hotplug=on|off index=@number
    domain/devices/controller/target/node       : @number
    domain/devices/controller/master            startport=@number
    domain/devices/controller/driver            queues=@number cmd_per_lun=@number max_sectors=@number ioeventfd=on|off iothread=@number iommu=on|off ats=on|off packed=on|off
    domain/devices/controller/pcihole64         unit=@unit : @number

    *domain/devices/interface                   type=network|bridge trustGuestRxFilters=no
    domain/devices/interface/mac                address=@mac type=static|generated check=yes|no
    domain/devices/interface/source             network=@network bridge=@plugged portid=@word portgroup=@word
    domain/devices/interface/target             dev=@interface managed=yes
    domain/devices/interface/model              type=@word
    domain/devices/interface/driver             name=qemu|vhost txmode=@word ioeventfd=on|off event_idx=on|off queues=@number rx_queue_size=@number tx_queue_size=@number iommu=on|off ats=on|off packed=on|off rss=on|off
    domain/devices/interface/driver/{host,guest} csum=on|off gso=on|off tso4=on|off tso6=on|off ecn=on|off ufo=on|off mrg_rxbuf=on|off
    domain/devices/interface/filterref          filter=@filter
    *domain/devices/interface/filterref/parameter name=@word value=@text
    domain/devices/interface/bandwidth
    domain/devices/interface/bandwidth/inbound  average=@number peak=@number burst=@number floor=@number
    domain/devices/interface/bandwidth/outbound average=@number peak=@number burst=@number
    domain/devices/interface/link               state=up|down
    domain/devices/interface/mtu                size=@number
    domain/devices/interface/port               isolated=yes|no
    domain/devices/interface/rom                bar=on|off enabled=yes|no

    *domain/devices/serial                      type=pty|null
    domain/devices/serial/source                path=@pty
    domain/devices/serial/target                type=@word port=@number
    domain/devices/serial/target/model          name=@word
    *domain/devices/console                     type=pty|null tty=@pty
    domain/devices/console/source               path=@pty
    domain/devices/console/target               type=serial|virtio port=@number
    *domain/devices/channel                     type=unix|pty|null|spicevmc|qemu-vdagent
    domain/devices/channel/source               mode=bind path=@channel
    domain/devices/channel/source/clipboard     copypaste=yes|no
    domain/devices/channel/source/mouse         mode=server|client
    domain/devices/channel/target               type=virtio name=@word state=connected|disconnected

    *domain/devices/input                       type=mouse|keyboard|tablet bus=ps2|usb|virtio model=@word
    domain/devices/tpm                          model=tpm-crb|tpm-tis|tpm-spapr
    domain/devices/tpm/backend                  type=emulator version=1.2|2.0 persistent_state=yes|no debug=@number
    domain/devices/tpm/backend/encryption       secret=@word
    domain/devices/tpm/backend/active_pcr_banks
    domain/devices/tpm/backend/active_pcr_banks/{sha1,sha256,sha384,sha512}

    *domain/devices/graphics                    type=vnc|spice port=@integer tlsPort=@integer autoport=yes|no listen=@listen socket=@own-socket websocket=@integer keymap=@word defaultMode=@word sharePolicy=@word connected=@word passwd=@text passwdValidTo=@text powerControl=yes|no
    *domain/devices/graphics/listen             type=address|socket|network|none address=@listen network=@network socket=@own-socket
    *domain/devices/graphics/channel            name=@word mode=@word
    domain/devices/graphics/{image,jpeg,zlib,playback} compression=@word
    domain/devices/graphics/streaming           mode=@word
    domain/devices/graphics/mouse               mode=@word
    domain/devices/graphics/clipboard           copypaste=yes|no
    domain/devices/graphics/filetransfer        enable=yes|no
    domain/devices/graphics/gl                  enable=no
    *domain/devices/video
    domain/devices/video/model                  type=@word ram=@number vram=@number vram64=@number vgamem=@number heads=@number primary=yes|no blob=on|off
    domain/devices/video/model/acceleration     accel2d=yes|no accel3d=no
    domain/devices/video/model/resolution       x=@number y=@number
    domain/devices/video/driver                 name=qemu vgaconf=@word iommu=on|off ats=on|off packed=on|off
    *domain/devices/sound                       model=@word
    *domain/devices/sound/codec                 type=@word
    domain/devices/sound/audio                  id=@number
    *domain/devices/audio                       id=@number type=none|spice
    domain/devices/audio/{input,output}         mixingEngine=yes|no

    *domain/devices/redirdev                    bus=usb type=spicevmc
    domain/devices/redirfilter
    *domain/devices/redirfilter/usbdev          class=@word vendor=@word product=@word version=@word allow=yes|no
    *domain/devices/hub                         type=usb

    *domain/devices/hostdev                     mode=subsystem type=pci|usb managed=yes|no
    domain/devices/hostdev/driver               name=vfio
    domain/devices/hostdev/source               startupPolicy=mandatory|requisite|optional
    domain/devices/hostdev/source/address       domain=@word bus=@word slot=@word function=@word device=@word
    domain/devices/hostdev/source/{vendor,product} id=@word
    domain/devices/hostdev/rom                  bar=on|off enabled=yes|no

    *domain/devices/watchdog                    model=@word action=reset|poweroff|shutdown|pause|none|inject-nmi
    domain/devices/memballoon                   model=virtio|virtio-transitional|virtio-non-transitional|none autodeflate=on|off freePageReporting=on|off
    domain/devices/memballoon/stats             period=@number
    domain/devices/memballoon/driver            iommu=on|off ats=on|off packed=on|off
    *domain/devices/rng                         model=virtio|virtio-transitional|virtio-non-transitional
    domain/devices/rng/rate                     bytes=@number period=@number
    domain/devices/rng/backend                  model=random|builtin : @random
    domain/devices/rng/driver                   iommu=on|off ats=on|off packed=on|off
    *domain/devices/panic                       model=@word
    *domain/devices/memory                      model=dimm discard=yes|no access=shared|private
    domain/devices/memory/uuid                  : @word
    domain/devices/memory/source                !pinning
    domain/devices/memory/source/pagesize       unit=@unit : @number
    domain/devices/memory/source/nodemask       : @set
    domain/devices/memory/target                dynamicMemslots=yes|no
    domain/devices/memory/target/size           unit=@unit : @number
    domain/devices/memory/target/node           : @number
    domain/devices/iommu                        model=@word
    domain/devices/iommu/driver                 intremap=on|off caching_mode=on|off eim=on|off iotlb=on|off aw_bits=@number
    *domain/devices/shmem                       !shared-memory name=@word role=peer|master
    domain/devices/shmem/model                  type=ivshmem-plain
    domain/devices/shmem/size                   unit=@unit : @number

    domain/devices/{disk,controller,interface,serial,console,channel,input,tpm,graphics,video,sound,redirdev,hub,hostdev,watchdog,memballoon,rng,panic,memory,iommu,shmem}/alias name=@word
    domain/devices/{disk,controller,interface,serial,console,channel,input,tpm,video,sound,redirdev,hub,hostdev,watchdog,memballoon,rng,panic,memory,iommu,shmem}/address type=@word domain=@word bus=@word slot=@word function=@word multifunction=on|off controller=@word target=@word unit=@word port=@word base=@word iobase=@word irq=@word reg=@word cssid=@word ssid=@word devno=@word
    domain/devices/{disk,interface,redirdev,hostdev}/boot order=@number loadparm=@word
    domain/devices/{disk,controller,interface,video,sound,hostdev,watchdog,memballoon,rng}/acpi index=@number

    *domain/seclabel                            type=dynamic model=@word relabel=yes
    domain/seclabel/{label,imagelabel}          : @text
";
