// Marks the last beat of every frame: a DMA engine ends a transfer at tlast, and units do not say it.
module deepdive_last_beat #(
    parameter WIDTH = 8,
    parameter BEATS = 1
) (
    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axis:m_axis, ASSOCIATED_RESET aresetn" *)
    input wire aclk,
    (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
    input wire aresetn,
    input wire [WIDTH-1:0] s_axis_tdata,
    input wire s_axis_tvalid,
    output wire s_axis_tready,
    output wire [WIDTH-1:0] m_axis_tdata,
    output wire m_axis_tvalid,
    input wire m_axis_tready,
    output wire m_axis_tlast
);
    reg [31:0] beat;

    assign m_axis_tdata = s_axis_tdata;
    assign m_axis_tvalid = s_axis_tvalid;
    assign s_axis_tready = m_axis_tready;
    assign m_axis_tlast = beat == BEATS - 1;

    always @(posedge aclk) begin
        if (!aresetn)
            beat <= 0;
        else if (s_axis_tvalid && m_axis_tready)
            beat <= m_axis_tlast ? 0 : beat + 1;
    end
endmodule
