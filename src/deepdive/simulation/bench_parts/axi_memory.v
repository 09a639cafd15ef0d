// External memory behind PORTS AXI4 masters: random latency, random pauses, and a check of what the masters do.
//
// Violations: a burst that is no INCR burst of full words, crosses a 4 KB boundary or leaves the memory; a request or data
// withdrawn or changed before it was taken; a last mark in the wrong place; a byte left out of a write.
//
// A master moves a word of data every PACE clock cycles at most, in each direction: what a narrower port of the board does.
//
// Words from FAULTY on are answered with SLVERR, though they are read and written all the same.
module axi_memory #(
    parameter PORTS = 1,
    parameter BYTES = 16,
    parameter DEPTH = 1,
    parameter FAULTY = DEPTH,
    parameter ADDRESS_BITS = 40,
    parameter FILE = "",
    parameter NAME = "",
    parameter ID = 1,
    parameter PACE = 1,
    parameter LATENCY = 32  // clock cycles of a request at least; up to as many more at random
) (
    input wire clk,
    input wire rst,
    input wire [7:0] pause,
    input wire [31:0] seed,
    input wire [PORTS*ADDRESS_BITS-1:0] araddr,
    input wire [PORTS*8-1:0] arlen,
    input wire [PORTS*3-1:0] arsize,
    input wire [PORTS*2-1:0] arburst,
    input wire [PORTS-1:0] arvalid,
    output reg [PORTS-1:0] arready,
    output reg [PORTS*BYTES*8-1:0] rdata,
    output reg [PORTS*2-1:0] rresp,
    output reg [PORTS-1:0] rlast,
    output reg [PORTS-1:0] rvalid,
    input wire [PORTS-1:0] rready,
    input wire [PORTS*ADDRESS_BITS-1:0] awaddr,
    input wire [PORTS*8-1:0] awlen,
    input wire [PORTS*3-1:0] awsize,
    input wire [PORTS*2-1:0] awburst,
    input wire [PORTS-1:0] awvalid,
    output reg [PORTS-1:0] awready,
    input wire [PORTS*BYTES*8-1:0] wdata,
    input wire [PORTS*BYTES-1:0] wstrb,
    input wire [PORTS-1:0] wlast,
    input wire [PORTS-1:0] wvalid,
    output reg [PORTS-1:0] wready,
    output reg [PORTS*2-1:0] bresp,
    output reg [PORTS-1:0] bvalid,
    input wire [PORTS-1:0] bready
);
    localparam A = ADDRESS_BITS;
    localparam W = BYTES * 8;
    localparam QUEUE = 16;

    reg [W-1:0] words [0:DEPTH-1];
    longint unsigned cycle;
    longint unsigned broken [0:PORTS-1];
    longint unsigned read [0:PORTS-1];
    longint unsigned written [0:PORTS-1];
    integer counts_file;

    function automatic bit wrong(input [A-1:0] address, input [7:0] length, input [2:0] size, input [1:0] burst);
        wrong = burst != 1 || (1 << size) != BYTES || address % BYTES != 0
            || (address % 4096) + (length + 1) * BYTES > 4096 || address / BYTES + length >= DEPTH;
    endfunction

    initial begin
        cycle = 0;
        if (FILE != "") $readmemh(FILE, words);
    end

    always @(posedge clk) cycle <= cycle + 1;

    genvar p;
    generate
        for (p = 0; p < PORTS; p = p + 1) begin : port
            reg [31:0] random;
            // Requests that are taken and not done: where, how many beats are left, and when they may begin.
            reg [A-1:0] ar_at [0:QUEUE-1];
            reg [8:0] ar_left [0:QUEUE-1];
            longint unsigned ar_begin [0:QUEUE-1];
            reg [A-1:0] aw_at [0:QUEUE-1];
            reg [8:0] aw_left [0:QUEUE-1];
            longint unsigned b_begin [0:QUEUE-1];
            reg b_fails [0:QUEUE-1];
            reg aw_fails;
            // When the next word may move.
            longint unsigned r_next, w_next;
            integer ar_head, ar_tail, aw_head, aw_tail, b_head, b_tail;
            reg [A+12:0] ar_offered, aw_offered;
            reg [W:0] w_offered;
            reg ar_waits, aw_waits, w_waits;

            initial begin
                broken[p] = 0;
                read[p] = 0;
                written[p] = 0;
                random = 1;
                {ar_waits, aw_waits, w_waits, aw_fails} = 0;
                {r_next, w_next} = 0;
                arready[p] = 0;
                awready[p] = 0;
                wready[p] = 0;
                rvalid[p] = 0;
                bvalid[p] = 0;
                rresp[p*2+:2] = 0;
                bresp[p*2+:2] = 0;
                {ar_head, ar_tail, aw_head, aw_tail, b_head, b_tail} = 0;
            end

            // One process: what happens in a cycle is decided in the order of these lines.
            always @(posedge clk) begin
                random = rst ? (seed ^ ((ID * 8 + p) * 32'h9e3779b9)) | 32'd1
                    : {random[30:0], 1'b0} ^ (random[31] ? 32'h04c11db7 : 32'd0);
                if (!rst) begin
                    if (ar_waits && !(arvalid[p] && {araddr[p*A+:A], arlen[p*8+:8], arsize[p*3+:3], arburst[p*2+:2]} == ar_offered)) broken[p] = broken[p] + 1;
                    if (aw_waits && !(awvalid[p] && {awaddr[p*A+:A], awlen[p*8+:8], awsize[p*3+:3], awburst[p*2+:2]} == aw_offered)) broken[p] = broken[p] + 1;
                    if (w_waits && !(wvalid[p] && {wdata[p*W+:W], wlast[p]} == w_offered)) broken[p] = broken[p] + 1;
                    ar_offered = {araddr[p*A+:A], arlen[p*8+:8], arsize[p*3+:3], arburst[p*2+:2]};
                    aw_offered = {awaddr[p*A+:A], awlen[p*8+:8], awsize[p*3+:3], awburst[p*2+:2]};
                    w_offered = {wdata[p*W+:W], wlast[p]};
                    ar_waits = arvalid[p] && !arready[p];
                    aw_waits = awvalid[p] && !awready[p];
                    w_waits = wvalid[p] && !wready[p];

                    if (arvalid[p] && arready[p]) begin
                        if (wrong(araddr[p*A+:A], arlen[p*8+:8], arsize[p*3+:3], arburst[p*2+:2])) broken[p] = broken[p] + 1;
                        ar_at[ar_tail % QUEUE] = araddr[p*A+:A] / BYTES;
                        ar_left[ar_tail % QUEUE] = arlen[p*8+:8] + 1;
                        ar_begin[ar_tail % QUEUE] = cycle + LATENCY + random % (LATENCY + 1);
                        ar_tail = ar_tail + 1;
                    end
                    if (rvalid[p] && rready[p]) read[p] = read[p] + 1;
                    if (!rvalid[p] || rready[p]) begin
                        rvalid[p] <= 0;
                        if (ar_head != ar_tail && cycle >= ar_begin[ar_head % QUEUE] && cycle >= r_next && random[15:8] >= pause) begin
                            rvalid[p] <= 1;
                            r_next = cycle + PACE;
                            rdata[p*W+:W] <= words[ar_at[ar_head % QUEUE] % DEPTH];
                            rresp[p*2+:2] <= ar_at[ar_head % QUEUE] >= FAULTY ? 2 : 0;
                            rlast[p] <= ar_left[ar_head % QUEUE] == 1;
                            ar_at[ar_head % QUEUE] = ar_at[ar_head % QUEUE] + 1;
                            ar_left[ar_head % QUEUE] = ar_left[ar_head % QUEUE] - 1;
                            if (ar_left[ar_head % QUEUE] == 0) ar_head = ar_head + 1;
                        end
                    end

                    if (wvalid[p] && wready[p]) begin
                        w_next = cycle + PACE;
                        if (aw_head == aw_tail || !(&wstrb[p*BYTES+:BYTES])) broken[p] = broken[p] + 1;
                        else begin
                            if (wlast[p] != (aw_left[aw_head % QUEUE] == 1)) broken[p] = broken[p] + 1;
                            words[aw_at[aw_head % QUEUE] % DEPTH] = wdata[p*W+:W];
                            written[p] = written[p] + 1;
                            aw_fails = aw_fails || aw_at[aw_head % QUEUE] >= FAULTY;
                            aw_at[aw_head % QUEUE] = aw_at[aw_head % QUEUE] + 1;
                            aw_left[aw_head % QUEUE] = aw_left[aw_head % QUEUE] - 1;
                            if (aw_left[aw_head % QUEUE] == 0) begin
                                aw_head = aw_head + 1;
                                b_begin[b_tail % QUEUE] = cycle + LATENCY + random % (LATENCY + 1);
                                b_fails[b_tail % QUEUE] = aw_fails;
                                aw_fails = 0;
                                b_tail = b_tail + 1;
                            end
                        end
                    end
                    if (awvalid[p] && awready[p]) begin
                        if (wrong(awaddr[p*A+:A], awlen[p*8+:8], awsize[p*3+:3], awburst[p*2+:2])) broken[p] = broken[p] + 1;
                        aw_at[aw_tail % QUEUE] = awaddr[p*A+:A] / BYTES;
                        aw_left[aw_tail % QUEUE] = awlen[p*8+:8] + 1;
                        aw_tail = aw_tail + 1;
                    end
                    if (!bvalid[p] || bready[p]) begin
                        bvalid[p] <= b_head != b_tail && cycle >= b_begin[b_head % QUEUE];
                        bresp[p*2+:2] <= b_fails[b_head % QUEUE] ? 2 : 0;
                        if (b_head != b_tail && cycle >= b_begin[b_head % QUEUE]) b_head = b_head + 1;
                    end
                    arready[p] <= ar_tail - ar_head < QUEUE - 2 && random[7:0] >= pause;
                    awready[p] <= b_tail - b_head + aw_tail - aw_head < QUEUE - 2 && random[23:16] >= pause;
                    wready[p] <= aw_head != aw_tail && cycle + 1 >= w_next && random[31:24] >= pause;
                end
            end
        end
    endgenerate

    final begin
        counts_file = $fopen({NAME, ".memory"}, "w");
        for (int i = 0; i < PORTS; i = i + 1) $fwrite(counts_file, "%0d %0d %0d\n", broken[i], read[i], written[i]);
        $fclose(counts_file);
    end
endmodule
